#include "migrate/offer_facts.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "crypto/hash.h"

namespace kz::migrate {
namespace {

constexpr std::uint64_t kBlock = storage::kVolumeBlock;
constexpr std::uint64_t kHead = 32;  // blocks
constexpr std::uint64_t kBetween = 16;
constexpr std::uint64_t kTail = 16;
constexpr std::size_t kSampleDigits = 16;
constexpr std::uint64_t kMaxId = 65535;
constexpr std::size_t kMaxModels = 16;
constexpr std::size_t kMaxFeatures = 4096;
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxVersion = 64;

std::unexpected<Error> not_understood(std::string_view what) {
    return fail(Errc::protocol, "the other host sent a message that is not understood: {}", what);
}

Result<const Json*> list_of(const Json& json, std::string_view key, std::size_t most) {
    if (!json.is_object()) return not_understood(key);
    const auto found = json.find(key);
    if (found == json.end()) return nullptr;
    if (!found->is_array() || found->size() > most) return not_understood(key);
    return &*found;
}

Result<std::string> short_text(const Json& json, std::string_view key, std::size_t most) {
    const auto text = json_text(json, key);
    if (!text || text->size() > most) return not_understood(key);
    return plain_text(*text, most);
}

Result<std::uint64_t> number(const Json& json, std::string_view key) {
    const auto value = json_u64(json, key);
    if (!value) return not_understood(key);
    return *value;
}

std::string render_samples(const Samples& samples) {
    std::string text;
    for (const std::uint64_t each : samples)
        text += fmt::format("{:016x}", each);
    return text;
}

Result<Samples> parse_samples(std::string_view text) {
    if (text.size() % kSampleDigits != 0 || text.size() > kMaxSamples * kSampleDigits)
        return not_understood("samples");
    Samples samples;
    for (std::size_t at = 0; at < text.size(); at += kSampleDigits) {
        const auto value = parse_hex_u64(text.substr(at, kSampleDigits));
        if (!value) return not_understood("samples");
        samples.push_back(*value);
    }
    return samples;
}

Result<std::vector<DiskFacts>> disks_from(const Json& json) {
    std::vector<DiskFacts> disks;
    KZ_TRY(const Json* list, list_of(json, "disks", kMaxDisks));
    if (list == nullptr) return disks;
    for (const Json& each : *list) {
        DiskFacts disk;
        KZ_TRY(const std::uint64_t id, number(each, "id"));
        if (id > kMaxId) return not_understood("id");
        disk.id = static_cast<unsigned>(id);
        KZ_TRY(disk.bytes, number(each, "bytes"));
        const auto samples = json_text(each, "samples");
        if (!samples) return not_understood("samples");
        KZ_TRY(disk.samples, parse_samples(*samples));
        disks.push_back(std::move(disk));
    }
    return disks;
}

Result<qemu::CpuModels> cpu_from(const Json& json) {
    qemu::CpuModels models;
    const auto cpu = json_optional_object(json, "cpu");
    if (!cpu || *cpu == nullptr) return not_understood("cpu");
    KZ_TRY(models.fullest, peer_texts(**cpu, "fullest", kMaxFeatures, kMaxName));
    const auto lacking = json_optional_object(**cpu, "lacking");
    if (!lacking || *lacking == nullptr || (*lacking)->size() > kMaxModels) return not_understood("lacking");
    for (const auto& [model, features] : (*lacking)->items()) {
        KZ_TRY(std::vector<std::string> names, peer_texts(**lacking, model, kMaxFeatures, kMaxName));
        std::ranges::sort(names);
        models.lacking.emplace(plain_text(model, kMaxName), std::move(names));
    }
    std::ranges::sort(models.fullest);
    return models;
}

Json disk_json(const DiskFacts& disk) {
    return {{"id", disk.id}, {"bytes", disk.bytes}, {"samples", render_samples(disk.samples)}};
}

}  // namespace

std::string plain_text(std::string_view text, std::size_t most) {
    std::string plain(text.substr(0, most));
    std::ranges::replace_if(plain, [](char c) { return c == '\n' || c == '\t'; }, ' ');
    std::ranges::replace_if(plain, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return plain;
}

Result<std::vector<std::string>> peer_texts(const Json& json, std::string_view key, std::size_t most_entries,
                                            std::size_t most_bytes) {
    std::vector<std::string> texts;
    KZ_TRY(const Json* list, list_of(json, key, most_entries));
    if (list == nullptr) return texts;
    for (const Json& each : *list) {
        if (!each.is_string()) return not_understood(key);
        texts.push_back(plain_text(each.get_ref<const std::string&>(), most_bytes));
    }
    return texts;
}

Result<std::vector<unsigned>> peer_numbers(const Json& json, std::string_view key, std::size_t most_entries,
                                           std::uint64_t highest) {
    std::vector<unsigned> numbers;
    KZ_TRY(const Json* list, list_of(json, key, most_entries));
    if (list == nullptr) return numbers;
    for (const Json& each : *list) {
        if (!each.is_number_unsigned() || each.get<std::uint64_t>() > highest) return not_understood(key);
        numbers.push_back(each.get<unsigned>());
    }
    return numbers;
}

Result<SourceFacts> SourceFacts::from_json(const Json& json) {
    SourceFacts facts;
    KZ_TRY(facts.kzones_version, short_text(json, "kzones_version", kMaxVersion));
    KZ_TRY(facts.qemu_version, short_text(json, "qemu_version", kMaxVersion));
    KZ_TRY(facts.cpu, cpu_from(json));
    KZ_TRY(facts.disks, disks_from(json));
    KZ_TRY(facts.bridged, peer_numbers(json, "bridged", kMaxId, kMaxId));
    KZ_TRY(facts.epoch, number(json, "epoch"));
    KZ_TRY(facts.heartbeat, number(json, "heartbeat"));
    KZ_TRY(facts.image_id, short_text(json, "image_id", kMaxName));
    return facts;
}

Json SourceFacts::to_json() const {
    Json list = Json::array();
    for (const DiskFacts& disk : disks)
        list.push_back(disk_json(disk));
    Json lacking = Json::object();
    for (const auto& [model, features] : cpu.lacking)
        lacking[model] = features;
    return {{"kzones_version", kzones_version},
            {"qemu_version", qemu_version},
            {"cpu", {{"lacking", std::move(lacking)}, {"fullest", cpu.fullest}}},
            {"disks", std::move(list)},
            {"bridged", bridged},
            {"epoch", epoch},
            {"heartbeat", heartbeat},
            {"image_id", image_id}};
}

std::vector<std::uint64_t> sample_offsets(std::uint64_t bytes) {
    const std::uint64_t blocks = bytes / kBlock;
    std::vector<std::uint64_t> offsets;
    if (blocks <= kHead + kBetween + kTail) {
        for (std::uint64_t block = 0; block < blocks; ++block)
            offsets.push_back(block * kBlock);
        return offsets;
    }
    for (std::uint64_t block = 0; block < kHead; ++block)
        offsets.push_back(block * kBlock);
    const std::uint64_t middle = blocks - kHead - kTail;
    for (std::uint64_t i = 0; i < kBetween; ++i)
        offsets.push_back((kHead + middle / kBetween * i) * kBlock);
    for (std::uint64_t block = blocks - kTail; block < blocks; ++block)
        offsets.push_back(block * kBlock);
    return offsets;
}

Result<Samples> read_samples(storage::Volume& volume, std::uint64_t bytes) {
    const std::vector<std::uint64_t> offsets = sample_offsets(bytes);
    Samples samples;
    Bytes chunk;
    for (std::size_t first = 0; first < offsets.size();) {
        // Neighbours are read at once.
        std::size_t end = first + 1;
        while (end < offsets.size() && offsets[end] == offsets[end - 1] + kBlock)
            ++end;
        chunk.resize((end - first) * kBlock);
        KZ_CHECK(volume.read(offsets[first], chunk));
        for (std::size_t at = 0; at < chunk.size(); at += kBlock) {
            const auto digest = crypto::sha256(ByteView(chunk).subspan(at, kBlock));
            samples.push_back(load_le<std::uint64_t>(digest.data()));
        }
        first = end;
    }
    return samples;
}

std::vector<unsigned> differing_samples(const Samples& a, const Samples& b) {
    std::vector<unsigned> places;
    for (unsigned i = 0; i < std::min(a.size(), b.size()); ++i)
        if (a[i] != b[i]) places.push_back(i);
    return places;
}

std::string_view kzones_version() {
    return KZONES_VERSION;
}

}  // namespace kz::migrate
