// By which connector, and who is who: see support/secured.sh.

import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.util.HexFormat;

import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.auth.RawPublicKeyIdentity;
import org.eclipse.californium.elements.config.CertificateAuthenticationMode;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.tcp.netty.TcpClientConnector;
import org.eclipse.californium.elements.tcp.netty.TcpServerConnector;
import org.eclipse.californium.elements.util.SslContextUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

final class Secure {
    private static final String KIND = System.getenv().getOrDefault("PEER_KIND", "plain");
    private static final String KEYS = System.getenv("PEER_KEYS");
    private static final boolean WRONG = System.getenv("PEER_WRONG") != null;

    private Secure() {
    }

    private static String path(String name) {
        return Path.of(KEYS, name).toString();
    }

    private static byte[] psk() throws Exception {
        String text = Files.readString(Path.of(KEYS, WRONG ? "wrong-psk" : "psk"));
        return HexFormat.of().parseHex(text.strip().substring(2));
    }

    private static SslContextUtil.Credentials ours(boolean serves) throws Exception {
        String name = WRONG ? "stranger" : serves ? "server" : "client";
        return SslContextUtil.loadCredentials(path(name + "-both.pem"));
    }

    private static Certificate[] trusted() throws Exception {
        return SslContextUtil.loadTrustedCertificates(path("ca.pem"));
    }

    private static Connector dtls(boolean serves, InetSocketAddress where, Configuration config) throws Exception {
        DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(config).setAddress(where);
        builder.set(DtlsConfig.DTLS_ROLE, serves ? DtlsConfig.DtlsRole.SERVER_ONLY : DtlsConfig.DtlsRole.CLIENT_ONLY);
        if (KIND.equals("psk") || KIND.equals("cid")) {
            builder.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.TLS_PSK_WITH_AES_128_CCM_8);
            builder.setAdvancedPskStore(new AdvancedSinglePskStore("me", psk()));
            if (KIND.equals("cid"))
                builder.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 6);
            return new DTLSConnector(builder.build());
        }
        SslContextUtil.Credentials ours = ours(serves);
        builder.set(DtlsConfig.DTLS_CLIENT_AUTHENTICATION_MODE, CertificateAuthenticationMode.NEEDED);
        StaticNewAdvancedCertificateVerifier.Builder verifier = StaticNewAdvancedCertificateVerifier.builder();
        if (KIND.equals("rpk")) {
            builder.setCertificateIdentityProvider(new SingleCertificateProvider(ours.getPrivateKey(),
                ours.getCertificateChain()[0].getPublicKey()));
            Certificate theirs = SslContextUtil.loadCertificateChain(
                path(serves ? "client.pem" : "server.pem"), null, null)[0];
            verifier.setTrustedRPKs(new RawPublicKeyIdentity(theirs.getPublicKey()));
        } else {
            builder.setCertificateIdentityProvider(new SingleCertificateProvider(ours.getPrivateKey(),
                ours.getCertificateChain(), CertificateType.X_509));
            verifier.setTrustedCertificates(trusted());
        }
        builder.setAdvancedCertificateVerifier(verifier.build());
        return new DTLSConnector(builder.build());
    }

    static Connector connector(String scheme, boolean serves, InetSocketAddress where, Configuration config)
        throws Exception {
        switch (scheme) {
        case "coap+tcp":
            return serves ? new TcpServerConnector(where, config) : new TcpClientConnector(config);
        default:
            return dtls(serves, where, config);
        }
    }
}
