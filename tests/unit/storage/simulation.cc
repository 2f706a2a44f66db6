#include "simulation.h"

#include <fmt/format.h>

#include <algorithm>

namespace kz::storage::sim {
namespace {

constexpr std::uint64_t kSize = kHostDataBytes + kVolumeBlock;

class SimClock final : public LeaseClock {
  public:
    SimClock(World& world, Host& host) : world_(world), host_(host) {}
    BootTime now() override { return world_.now; }
    Result<void> wait(BootClock::duration span, int) override {
        const auto& over = world_.faults.oversleeping;
        host_.pass(span + over[world_.choices.pick(static_cast<unsigned>(over.size()))]);
        return {};
    }
    std::uint64_t random_below(std::uint64_t bound) override { return world_.choices.random() % bound; }

  private:
    World& world_;
    Host& host_;
};

class SimVolume final : public Volume {
  public:
    SimVolume(World& world, Host& host) : world_(world), host_(host) {}
    const Suri& suri() const override { return suri_; }
    std::uint64_t size_bytes() const override { return kSize; }
    Result<void> read(std::uint64_t offset, MutableBytes out) override {
        const auto latency = choose_latency();
        host_.pass(latency / 2);
        world_.disk.get(offset, out);
        host_.pass(latency - latency / 2);
        return choose_error();
    }
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override {
        return effect([&] { world_.disk.put(offset, bytes); },
                      [&] { world_.disk.put(offset, bytes.first(bytes.size() / 2 / 512 * 512)); });
    }
    Result<VolumeBacking> backing() override { return fail(Errc::unsupported, "none"); }
    std::size_t compare_and_write_limit() const override {
        return host_.compares ? world_.disk.compare_limit : 0;
    }
    Result<bool> compare_and_write(std::uint64_t offset, ByteView expected, ByteView replacement) override {
        bool done = false;
        const Result<void> result = effect(
            [&] {
                Bytes now(expected.size());
                world_.disk.get(offset, now);
                done = std::ranges::equal(now, expected);
                if (done) world_.disk.put(offset, replacement);
            },
            [] {});
        if (!result) return std::unexpected(result.error());
        return done;
    }

  private:
    BootClock::duration choose_latency() {
        const auto& all = world_.faults.latencies;
        return all[world_.choices.pick(static_cast<unsigned>(all.size()))];
    }
    Result<void> choose_error() {
        if (host_.unplugged) return fail(Errc::io, "unplugged");
        if (world_.faults.errors && world_.choices.pick(2) == 1) return fail(Errc::io, "cable cut");
        return {};
    }
    // The write happens at the beginning or at the end of the time that it takes.
    Result<void> effect(const std::function<void()>& whole, const std::function<void()>& half) {
        if (host_.unplugged) return fail(Errc::io, "unplugged");
        const auto latency = choose_latency();
        const bool early = latency > 1ms && world_.choices.pick(2) == 1;
        if (!early) host_.pass(latency);
        const unsigned crash = world_.faults.crashes ? world_.choices.pick(4) : 0;
        if (crash == 1) host_.crash();
        if (crash == 2) {
            half();
            host_.crash();
        }
        whole();
        if (crash == 3) host_.crash();
        if (early) host_.pass(latency);
        return choose_error();
    }

    World& world_;
    Host& host_;
    Suri suri_ = *Suri::of_file("/simulated");
};

}  // namespace

void Disk::put(std::uint64_t offset, ByteView bytes) {
    while (!bytes.empty()) {
        const std::uint64_t start = offset / kVolumeBlock * kVolumeBlock;
        const std::size_t part = std::min<std::size_t>(bytes.size(), start + kVolumeBlock - offset);
        Bytes block(kVolumeBlock);
        get(start, block);
        std::ranges::copy(bytes.first(part), block.begin() + static_cast<std::ptrdiff_t>(offset - start));
        if (std::ranges::all_of(block, [](Byte byte) { return byte == 0; })) {
            blocks.erase(start);
        } else {
            blocks[start] = std::move(block);
        }
        bytes = bytes.subspan(part);
        offset += part;
    }
}

void Disk::get(std::uint64_t offset, MutableBytes out) const {
    while (!out.empty()) {
        const std::uint64_t start = offset / kVolumeBlock * kVolumeBlock;
        const std::size_t part = std::min<std::size_t>(out.size(), start + kVolumeBlock - offset);
        const auto block = blocks.find(start);
        if (block == blocks.end()) {
            std::ranges::fill(out.first(part), Byte{0});
        } else {
            std::ranges::copy(ByteView(block->second).subspan(offset - start, part), out.begin());
        }
        out = out.subspan(part);
        offset += part;
    }
}

Host::Host(World& world, std::string name, std::function<void(Host&)> life)
    : world_(world),
      name_(std::move(name)),
      clock_(std::make_unique<SimClock>(world, *this)),
      life_(std::move(life)),
      ready_(world.now) {
    thread_ = std::jthread([this] {
        go_.acquire();
        try {
            if (!stopping_) life_(*this);
        } catch (const Crash&) {
            crashed_ = true;
        }
        done_ = true;
        world_.back_.release();
    });
}

std::unique_ptr<Volume> Host::open_disk() {
    return std::make_unique<SimVolume>(world_, *this);
}

void Host::pass(BootClock::duration span) {
    ready_ = world_.now + span;
    world_.back_.release();
    go_.acquire();
    if (stopping_) throw Crash{};
}

World::World(Disk start, Faults allowed, Choices way)
    : disk(std::move(start)), faults(std::move(allowed)), choices(std::move(way)) {}

World::~World() {
    for (const auto& host : hosts) {
        host->stopping_ = true;
        while (!host->done_)
            step(*host);
    }
}

void World::add(const std::string& name, std::function<void(Host&)> life) {
    hosts.push_back(std::make_unique<Host>(*this, name, std::move(life)));
}

void World::step(Host& host) {
    host.go_.release();
    back_.acquire();
}

void World::run(BootTime until, const std::function<void()>& watch) {
    while (true) {
        Host* next = nullptr;
        for (const auto& host : hosts) {
            if (!host->done_ && (next == nullptr || host->ready_ < next->ready_)) next = host.get();
        }
        if (next == nullptr || next->ready_ > until) return;
        now = std::max(now, next->ready_);
        if (watch) watch();
        step(*next);
        if (watch) watch();
    }
}

std::size_t explore(unsigned deviations, std::size_t most,
                    const std::function<std::vector<unsigned>(const Choices::Plan&)>& one) {
    std::vector<Choices::Plan> open{Choices::Plan{}};
    std::size_t count = 0;
    // By the number of deviations: the simple ones are all tried first.
    for (std::size_t at = 0; at < open.size() && count < most; ++at, ++count) {
        const Choices::Plan plan = open[at];
        const std::vector<unsigned> ways = one(plan);
        if (plan.size() >= deviations) continue;
        for (std::size_t i = plan.empty() ? 0 : plan.rbegin()->first + 1; i < ways.size(); ++i) {
            for (unsigned way = 1; way < ways[i]; ++way) {
                open.push_back(plan);
                open.back()[i] = way;
            }
        }
    }
    return count;
}

std::string render(const Choices::Plan& plan) {
    std::string text = "plan";
    for (const auto& [choice, way] : plan)
        text += fmt::format(" {}:{}", choice, way);
    return text;
}

Secret key() {
    return Secret(Bytes(16, 1));
}

HostData unowned() {
    HostData data;
    data.zone_uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
    data.epoch = 4;
    data.state = "installed";
    data.last_update = "2026-11-22T02:30:00.123Z";
    return data;
}

Disk disk_with(const HostData& data) {
    World world({}, {}, Choices(Choices::Plan{}));
    world.add("maker", [&](Host& host) {
        const std::unique_ptr<Volume> volume = host.open_disk();
        HostDataArea area = *HostDataArea::open(*volume, key());
        area.initialize(data).value();
    });
    world.run(BootTime::max());
    return world.disk;
}

HostData on(const Disk& disk) {
    HostData data;
    World world(disk, {}, Choices(Choices::Plan{}));
    world.add("reader", [&](Host& host) {
        const std::unique_ptr<Volume> volume = host.open_disk();
        data = HostDataArea::open(*volume, key())->read().value().data;
    });
    world.run(BootTime::max());
    return data;
}

}  // namespace kz::storage::sim
