#include "crypto/self_signed.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/certificate.h"

namespace kz::crypto {
namespace {

TEST(SelfSigned, IsForTheNameAndItsKey) {
    const auto made = make_self_signed({KeyKind::rsa, "web1", "web1.example.org", 10});
    ASSERT_TRUE(made) << made.error().message();
    const auto certificate = parse_certificate(made->cert_pem);
    const auto key = parse_private_key(made->key_pem.view());
    ASSERT_TRUE(certificate && key);
    EXPECT_EQ(X509_check_private_key(certificate->get(), key->get()), 1);
    EXPECT_EQ(X509_verify(certificate->get(), key->get()), 1);
    EXPECT_EQ(EVP_PKEY_get_bits(key->get()), 2048);
    EXPECT_EQ(X509_check_host(certificate->get(), "web1.example.org", 0, 0, nullptr), 1);
    EXPECT_EQ(X509_check_host(certificate->get(), "web2.example.org", 0, 0, nullptr), 0);
}

TEST(SelfSigned, NoTwoAreAlike) {
    const auto one = make_self_signed({KeyKind::rsa, "web1", "web1", 10});
    const auto two = make_self_signed({KeyKind::rsa, "web1", "web1", 10});
    ASSERT_TRUE(one && two);
    EXPECT_NE(one->cert_pem, two->cert_pem);
}

TEST(SelfSigned, WrongNamesAreRefused) {
    EXPECT_FALSE(make_self_signed({KeyKind::rsa, "", "web1", 10}));
    EXPECT_FALSE(make_self_signed({KeyKind::rsa, std::string(65, 'x'), "web1", 10}));
    EXPECT_FALSE(make_self_signed({KeyKind::rsa, "web1", "web1,IP:10.0.0.1", 10}));
}

}  // namespace
}  // namespace kz::crypto
