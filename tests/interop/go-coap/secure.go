// Who is who, for coaps and coaps+tcp: see support/secured.sh.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	piondtls "github.com/pion/dtls/v3"
)

func file(name string) []byte {
	content, err := os.ReadFile(filepath.Join(os.Getenv("PEER_KEYS"), name))
	check(err)
	return content
}

// A stranger has a certificate and key of its own, which nobody trusts.
func certificate(name string) tls.Certificate {
	if os.Getenv("PEER_WRONG") != "" {
		name = "stranger"
	}
	pair, err := tls.X509KeyPair(file(name+".pem"), file(name+".key"))
	check(err)
	return pair
}

func trusted() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(file("ca.pem"))
	return pool
}

func tlsConfig(us, them string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate(us)},
		RootCAs:      trusted(),
		ClientCAs:    trusted(),
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ServerName:   "localhost",
		NextProtos:   []string{"coap"},
	}
}

func dtlsConfig(us string) *piondtls.Config {
	config := &piondtls.Config{
		ExtendedMasterSecret: piondtls.RequireExtendedMasterSecret,
		ServerName:           "localhost",
	}
	if os.Getenv("PEER_KIND") == "cert" {
		config.Certificates = []tls.Certificate{certificate(us)}
		config.RootCAs = trusted()
		config.ClientCAs = trusted()
		config.ClientAuth = piondtls.RequireAndVerifyClientCert
		config.CipherSuites = []piondtls.CipherSuiteID{piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8}
		return config
	}
	config.PSK = func([]byte) ([]byte, error) {
		name := "psk"
		if os.Getenv("PEER_WRONG") != "" {
			name = "wrong-psk"
		}
		return hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(file(name))), "0x"))
	}
	config.PSKIdentityHint = []byte("me")
	config.CipherSuites = []piondtls.CipherSuiteID{piondtls.TLS_PSK_WITH_AES_128_CCM_8}
	if os.Getenv("PEER_KIND") == "cid" {
		config.ConnectionIDGenerator = piondtls.RandomCIDGenerator(8)
	}
	return config
}
