# How long it takes to compare a secret must not tell where it differs: in secure/,
# and where engine/ has Echo values and tokens, that is what cp_secret_equal() is
# for. memcmp() is used there for what stands below, and no other comparison has an
# operand that is called like a secret.
# Run by hand: cmake -P tests/check_secrets.cmake
cmake_minimum_required(VERSION 3.20)
set(public
    "certificate_gnutls.c:memcmp(c->keys[i].of, hash->of, sizeof(hash->of))" # of public keys
    "certificate_gnutls.c:memcmp(id, other, sizeof(id))"           # likewise
    "cose.c:memcmp(digest, id->x5t.data, len)"                     # of a certificate
    "dtls_shake_gnutls.c:memcmp(s->shake->random, random, sizeof(s->shake->random))" # of a hello
    "edhoc_scope.c:memcmp(b.data, head, sizeof(head) - 1)"         # "-----BEGIN "
    "edhoc_scope.c:memcmp(of.x, c->key.x, CP_CURVE_KEY)"           # public keys
    "credentials_file.c:memcmp(key, \"0x\", 2)" # how it is written, in our own file
    "store.c:memcmp(sealed.data, magic, sealed.len < sizeof(magic) ? sealed.len : sizeof(magic))" # how a file begins
    "token.c:memcmp(t->bytes, bytes, CP_TOKEN_LEN)") # equal as one number already
set(comparison "(cp_bytes_equal|cp_bytes_is_text|strn?(case)?cmp)")
set(secret "(secret|private|cookie|password|prk|psk\\.key|[^a-z]mac[^a-z]|[^a-z]tag[^a-z]|echo|->key\\.bytes|sender\\.bytes|recipient\\.bytes)")

get_filename_component(core ${CMAKE_CURRENT_LIST_DIR}/../core ABSOLUTE)
file(GLOB files RELATIVE ${core} ${core}/secure/*.[ch] ${core}/engine/fresh*.[ch]
    ${core}/engine/token.[ch])
foreach(file IN LISTS files)
    file(READ ${core}/${file} text)
    string(REGEX REPLACE "[ \t\r\n]+" " " text "${text}") # calls over several lines
    string(REPLACE ";" " " text "${text}")
    get_filename_component(name ${file} NAME)
    string(REGEX MATCHALL "memcmp\\(([^()]|\\([^()]*\\))*\\)" calls "${text}")
    foreach(call IN LISTS calls)
        if(NOT "${name}:${call}" IN_LIST public)
            message(SEND_ERROR "core/${file}: ${call}: a secret goes by "
                "cp_secret_equal(); anything else is listed in check_secrets.cmake")
        endif()
    endforeach()
    string(REGEX MATCHALL "${comparison}\\(([^()]|\\([^()]*\\))*\\)" calls "${text}")
    foreach(call IN LISTS calls)
        string(REGEX REPLACE "\"[^\"]*\"" "" named "${call}") # names of settings
        if(named MATCHES "${secret}")
            message(SEND_ERROR "core/${file}: ${call}: use cp_secret_equal()")
        endif()
    endforeach()
endforeach()
