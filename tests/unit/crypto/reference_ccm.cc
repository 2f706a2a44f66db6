#include "reference_ccm.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

namespace kz::crypto {
namespace {

using Block = std::array<Byte, 16>;

Block encrypt_block(ByteView key, const Block& in) {
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  EVP_CIPHER_CTX_free);
    Block out{};
    int size = 0;
    EVP_EncryptInit_ex(context.get(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr);
    EVP_CIPHER_CTX_set_padding(context.get(), 0);
    EVP_EncryptUpdate(context.get(), out.data(), &size, in.data(), 16);
    return out;
}

void absorb(ByteView key, Block& mac, ByteView data) {
    while (!data.empty()) {
        const std::size_t part = std::min<std::size_t>(16, data.size());
        for (std::size_t i = 0; i < part; ++i)
            mac[i] ^= data[i];
        mac = encrypt_block(key, mac);
        data = data.subspan(part);
    }
}

Block block_of(Byte flags, ByteView nonce, std::uint64_t counter) {
    Block block{};
    block[0] = flags;
    std::copy(nonce.begin(), nonce.end(), block.begin() + 1);
    for (std::size_t i = 15; i > nonce.size(); --i, counter >>= 8)
        block[i] = static_cast<Byte>(counter);
    return block;
}

}  // namespace

Bytes reference_ccm_seal(ByteView key, ByteView nonce, ByteView aad, ByteView message, std::size_t tag_size) {
    const std::size_t length_size = 15 - nonce.size();
    const auto flags =
        static_cast<Byte>((aad.empty() ? 0 : 0x40) | ((tag_size - 2) / 2 << 3) | (length_size - 1));
    Block mac = encrypt_block(key, block_of(flags, nonce, message.size()));
    if (!aad.empty()) {
        Bytes prefixed = {static_cast<Byte>(aad.size() >> 8), static_cast<Byte>(aad.size())};
        prefixed.insert(prefixed.end(), aad.begin(), aad.end());
        absorb(key, mac, prefixed);
    }
    absorb(key, mac, message);

    Bytes out(message.begin(), message.end());
    const auto counter_flags = static_cast<Byte>(length_size - 1);
    for (std::size_t at = 0; at < out.size(); ++at)
        out[at] ^= encrypt_block(key, block_of(counter_flags, nonce, at / 16 + 1))[at % 16];
    const Block mask = encrypt_block(key, block_of(counter_flags, nonce, 0));
    for (std::size_t i = 0; i < tag_size; ++i)
        out.push_back(mac[i] ^ mask[i]);
    return out;
}

}  // namespace kz::crypto
