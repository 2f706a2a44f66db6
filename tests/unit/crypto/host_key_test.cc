#include "crypto/host_key.h"

#include <gtest/gtest.h>

namespace kz::crypto {
namespace {

TEST(HostKey, LoadsWhatWasGenerated) {
    const HostKey made = generate_host_key("node1.example.org").value();
    EXPECT_TRUE(is_fingerprint(made.fingerprint)) << made.fingerprint;
    EXPECT_TRUE(made.cert_pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
    const HostKey loaded = load_host_key(made.key_pem.view(), made.cert_pem).value();
    EXPECT_EQ(loaded.fingerprint, made.fingerprint);
    EXPECT_NE(generate_host_key("node1.example.org")->fingerprint, made.fingerprint);
}

// The fingerprint was computed with `openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER |
// sha256sum`.
TEST(HostKey, FingerprintIsThatOfThePublicKey) {
    constexpr std::string_view kKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIHQbhGM0bF1mmJlLJUmx2q7aMTvFcni/lDzavbOEI5Kl
-----END PRIVATE KEY-----
)";
    constexpr std::string_view kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBODCB66ADAgECAhR9lca2B9X2WaleqH4i9IpwgyEqlzAFBgMrZXAwETEPMA0G
A1UEAwwGZ29sZGVuMCAXDTI2MTEyMjAyNDExNFoYDzIxMjYxMDI5MDI0MTE0WjAR
MQ8wDQYDVQQDDAZnb2xkZW4wKjAFBgMrZXADIQBu9VUIZY8AN6YIcPafAu8A1y+8
OgiV/5juONSTT2HaP6NTMFEwHQYDVR0OBBYEFK/9TJbQtwgZUxBNK9IRajl+UjkK
MB8GA1UdIwQYMBaAFK/9TJbQtwgZUxBNK9IRajl+UjkKMA8GA1UdEwEB/wQFMAMB
Af8wBQYDK2VwA0EA2y4KijmUG1hEzM3AhxW2zzWiDvL8Btw+CBSX9kiVqPT0qBby
B1TBS1V9VNfCig8aq1GhdOA8Ix4v8HGakJLyBA==
-----END CERTIFICATE-----
)";
    EXPECT_EQ(load_host_key(as_bytes(kKey), kCertificate)->fingerprint,
              "SHA256:4kQWgVAbODGTa/0+T+GxZ0IziAUrS+ucxaJA852oOMY");
}

TEST(HostKey, RefusesWhatDoesNotBelongTogether) {
    const HostKey a = generate_host_key("a").value();
    const HostKey b = generate_host_key("b").value();
    EXPECT_EQ(load_host_key(a.key_pem.view(), b.cert_pem).error().code(), Errc::corrupt);
    EXPECT_EQ(load_host_key(as_bytes("garbage"), a.cert_pem).error().code(), Errc::corrupt);
    EXPECT_EQ(load_host_key(a.key_pem.view(), "").error().code(), Errc::corrupt);
    EXPECT_EQ(load_host_key(a.key_pem.view(), std::string(1 << 20, 'x')).error().code(), Errc::corrupt);
}

TEST(HostKey, NamesHaveLimits) {
    EXPECT_EQ(generate_host_key("").error().code(), Errc::invalid_argument);
    EXPECT_EQ(generate_host_key(std::string(65, 'a')).error().code(), Errc::invalid_argument);
    EXPECT_TRUE(generate_host_key(std::string(64, 'a')).has_value());
}

TEST(HostKey, FormOfAFingerprint) {
    EXPECT_TRUE(is_fingerprint("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    EXPECT_FALSE(is_fingerprint("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    EXPECT_FALSE(is_fingerprint("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!"));
    EXPECT_FALSE(is_fingerprint("MD5:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

}  // namespace
}  // namespace kz::crypto
