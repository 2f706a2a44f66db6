// Keys of channels. For src/stream, src/image and src/migrate.
#pragma once

#include <string_view>

#include "base/secret.h"
#include "crypto/aead.h"
#include "crypto/cipher.h"

namespace kz::stream {

// Which way a channel's bytes go; each way has keys of its own. In an image everything is `forward`.
enum class Direction { forward = 1, backward = 2 };

struct ChannelKeys {
    Secret key;  // empty for the cipher `none`
    crypto::Nonce nonce_salt{};

    ChannelKeys clone() const { return {key.clone(), nonce_salt}; }
};

// HKDF-SHA256(secret, salt, "kzones <purpose> <cipher> channel <id> <forward|backward>"): the cipher's key,
// then the 12 bytes of nonce salt. INVARIANT: no two channels may have the same keys, or nonces would repeat.
// So `salt` must be fresh for each connection (the nonce of its hello) or image.
Result<ChannelKeys> derive_channel_keys(ByteView secret, ByteView salt, std::string_view purpose,
                                        crypto::Cipher cipher, std::uint32_t channel, Direction direction);

}  // namespace kz::stream
