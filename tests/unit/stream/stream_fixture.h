// What the stream tests share: keys, patterns, whole streams.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "stream/opener.h"
#include "stream/sealer.h"

namespace kz::stream {

inline Bytes counting(std::size_t size, int first) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<Byte>(static_cast<std::size_t>(first) + i);
    return bytes;
}

// The pattern of data/make_golden.py.
inline Bytes pattern(std::size_t size, std::size_t sequence) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<Byte>(i * 31 + sequence);
    return bytes;
}

inline ChannelKeys golden_keys(crypto::Cipher cipher) {
    return derive_channel_keys(counting(32, 0), counting(16, 32), "golden", cipher, 3, Direction::forward)
        .value();
}

inline Bytes read_golden(const std::string& name) {
    std::ifstream file(std::string(KZ_TEST_DATA) + "/" + name, std::ios::binary);
    EXPECT_TRUE(file.good()) << name;
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

inline Bytes seal_one(RecordSealer& sealer, ByteView plain) {
    std::ranges::copy(plain, sealer.space().begin());
    const auto record = sealer.seal(plain.size());
    EXPECT_TRUE(record.has_value());
    return Bytes(record->begin(), record->end());
}

inline Bytes seal_end(RecordSealer& sealer) {
    const auto record = sealer.seal_final();
    EXPECT_TRUE(record.has_value());
    return Bytes(record->begin(), record->end());
}

// A cipher by one of the back-ends that this machine has for it.
struct Variant {
    crypto::Cipher cipher;
    crypto::AeadBackend backend;
};

inline std::ostream& operator<<(std::ostream& out, const Variant& variant) {
    return out << crypto::cipher_name(variant.cipher) << static_cast<int>(variant.backend);
}

inline std::vector<Variant> sealing_variants() {
    std::vector<Variant> variants;
    for (const crypto::Cipher cipher : crypto::all_ciphers()) {
        if (cipher == crypto::Cipher::none) continue;
        variants.push_back({cipher, crypto::AeadBackend::openssl});
        const crypto::AeadBackend fastest = crypto::Aead::fastest_backend(cipher);
        if (fastest != crypto::AeadBackend::openssl) variants.push_back({cipher, fastest});
    }
    return variants;
}

inline std::vector<Variant> all_variants() {
    std::vector<Variant> variants = sealing_variants();
    variants.push_back({crypto::Cipher::none, crypto::AeadBackend::automatic});
    return variants;
}

inline std::string variant_test_name(const testing::TestParamInfo<Variant>& instance) {
    std::string name(crypto::cipher_name(instance.param.cipher));
    std::ranges::replace(name, '-', '_');
    if (instance.param.cipher == crypto::Cipher::none) return name;
    return name + (instance.param.backend == crypto::AeadBackend::openssl ? "_openssl" : "_ipsec_mb");
}

// The records of a channel, the final one included, one by one.
inline std::vector<Bytes> seal_all(const Variant& variant, const ChannelKeys& keys,
                                   const std::vector<Bytes>& plain,
                                   Compression compression = Compression::off) {
    RecordSealer sealer = RecordSealer::create(variant.cipher, keys, compression, variant.backend).value();
    std::vector<Bytes> records;
    for (const Bytes& part : plain)
        records.push_back(seal_one(sealer, part));
    records.push_back(seal_end(sealer));
    return records;
}

inline Bytes join(const std::vector<Bytes>& parts) {
    Bytes whole;
    for (const Bytes& part : parts)
        whole.insert(whole.end(), part.begin(), part.end());
    return whole;
}

struct Opened {
    Bytes plain;
    Result<void> end;  // an error from any point
};

// Opens a whole stream that arrives in pieces of `step` bytes.
inline Opened open_all(const Variant& variant, const ChannelKeys& keys, ByteView stream,
                       std::size_t step = kMaxRecordSize) {
    RecordOpener opener = RecordOpener::create(variant.cipher, keys, variant.backend).value();
    Opened opened;
    while (true) {
        const auto next = opener.next();
        if (!next) {
            EXPECT_FALSE(opener.next().has_value()) << "an error is final";
            opened.end = std::unexpected(next.error());
            return opened;
        }
        if (*next) {
            opened.plain.insert(opened.plain.end(), (*next)->bytes.begin(), (*next)->bytes.end());
            continue;
        }
        if (stream.empty()) break;
        const MutableBytes space = opener.space();
        const std::size_t part = std::min({step, stream.size(), space.size()});
        std::ranges::copy(stream.first(part), space.begin());
        opener.commit(part);
        stream = stream.subspan(part);
    }
    opened.end = opener.end_of_input();
    return opened;
}

}  // namespace kz::stream
