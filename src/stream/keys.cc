#include "stream/keys.h"

#include <algorithm>

#include "crypto/hkdf.h"

namespace kz::stream {

Result<ChannelKeys> derive_channel_keys(ByteView secret, ByteView salt, std::string_view purpose,
                                        crypto::Cipher cipher, std::uint32_t channel, Direction direction) {
    const std::string info = fmt::format("kzones {} {} channel {} {}", purpose, crypto::cipher_name(cipher),
                                         channel, direction == Direction::forward ? "forward" : "backward");
    const std::size_t key_size = crypto::cipher_key_size(cipher);
    KZ_TRY(const Secret material, crypto::hkdf_sha256(secret, salt, info, key_size + crypto::kNonceSize));
    ChannelKeys keys;
    keys.key = Secret(material.view().first(key_size));
    std::ranges::copy(material.view().subspan(key_size), keys.nonce_salt.begin());
    return keys;
}

}  // namespace kz::stream
