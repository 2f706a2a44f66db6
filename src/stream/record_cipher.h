// RecordCipher: seals and opens the lanes of one record in place. Private to src/stream.
#pragma once

#include <memory>

#include "stream/keys.h"
#include "stream/record.h"

namespace kz::stream {

// One thread at a time. Knows a record's numbers from its header only; who calls keeps the sequence.
class RecordCipher {
  public:
    static Result<RecordCipher> create(crypto::Cipher cipher, const ChannelKeys& keys,
                                       crypto::AeadBackend backend);

    // `record` is a whole record (header, payload, tags) of sealed_size(cipher, header.length) bytes.
    Result<void> seal(const RecordHeader& header, MutableBytes record);
    // Errc::corrupt when one lane does not open; the payload is then zeros.
    Result<void> open(const RecordHeader& header, MutableBytes record);

    crypto::Cipher cipher() const { return cipher_; }

  private:
    friend class SealerTestAccess;
    RecordCipher(crypto::Cipher cipher, const crypto::Nonce& salt) : cipher_(cipher), salt_(salt) {}
    template <typename Run>
    Result<void> run_lanes(const RecordHeader& header, MutableBytes record, Run run);

    crypto::Cipher cipher_;
    crypto::Nonce salt_;
    std::unique_ptr<crypto::Aead> aead_;  // none for the cipher `none`
};

}  // namespace kz::stream
