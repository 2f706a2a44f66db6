// A simulated disk, and hosts that use it in a time of their own: what happens in minutes, in any order that
// is wanted, in a millisecond. One host runs at a time; it gives way in each operation on the disk and in
// each wait.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "storage/host_data.h"
#include "storage/lease_clock.h"

namespace kz::storage::sim {

using namespace std::chrono_literals;

// Where a run could go this way or that: the plan says which way, and 0 is the ordinary one.
class Choices {
  public:
    using Plan = std::map<std::size_t, unsigned>;  // which choice -> which way
    explicit Choices(Plan plan) : plan_(std::move(plan)) {}
    // One in `rarity` choices is not the ordinary one.
    Choices(std::uint64_t seed, unsigned rarity) : random_(seed), rarity_(rarity) {}

    unsigned pick(unsigned ways) {
        const std::size_t number = ways_.size();
        ways_.push_back(ways);
        if (rarity_ == 0) return plan_.contains(number) ? plan_[number] % ways : 0;
        return random_() % rarity_ == 0 ? static_cast<unsigned>(random_() % ways) : 0;
    }
    std::uint64_t random() { return rarity_ == 0 ? ways_.size() * 7919 : random_(); }
    const std::vector<unsigned>& ways() const { return ways_; }

  private:
    Plan plan_;
    std::mt19937_64 random_;
    unsigned rarity_ = 0;
    std::vector<unsigned> ways_;
};

// What may go wrong in a run.
struct Faults {
    std::vector<BootClock::duration> latencies{1ms};  // of an operation
    std::vector<BootClock::duration> oversleeping{0ms};
    bool crashes = false;
    bool errors = false;  // operations that fail, before or after their effect
};

struct Disk {
    std::map<std::uint64_t, Bytes> blocks;  // those that are not zero
    std::size_t compare_limit = 0;
    void put(std::uint64_t offset, ByteView bytes);
    void get(std::uint64_t offset, MutableBytes out) const;
};

class World;

// Thrown out of whatever it was doing: the host is no more.
struct Crash {};

class Host {
  public:
    Host(World& world, std::string name, std::function<void(Host&)> life);
    const std::string& name() const { return name_; }
    Owner as_owner() const { return {name_, name_}; }
    std::unique_ptr<Volume> open_disk();
    LeaseClock& clock() { return *clock_; }
    World& world() { return world_; }
    bool crashed() const { return crashed_; }
    void pass(BootClock::duration span);
    void crash() { throw Crash{}; }
    bool compares = true;    // COMPARE AND WRITE, where the disk has it
    bool unplugged = false;  // its operations on the disk fail

  private:
    friend class World;
    World& world_;
    std::string name_;
    std::unique_ptr<LeaseClock> clock_;
    std::function<void(Host&)> life_;
    std::binary_semaphore go_{0};
    BootTime ready_{};
    bool done_ = false;
    bool crashed_ = false;
    bool stopping_ = false;
    std::jthread thread_;
};

class World {
  public:
    World(Disk start, Faults allowed, Choices way);
    ~World();
    void add(const std::string& name, std::function<void(Host&)> life);
    // Until all have ended, or `until`. `watch` is called after each step.
    void run(BootTime until, const std::function<void()>& watch = {});

    BootTime now = BootTime{} + 1h;
    Disk disk;
    Faults faults;
    Choices choices;
    std::vector<std::unique_ptr<Host>> hosts;

  private:
    friend class Host;
    void step(Host& host);
    std::binary_semaphore back_{0};
};

// Runs `one` with every plan of at most `deviations` choices out of the ordinary (at most `most` of them).
// Returns how many.
std::size_t explore(unsigned deviations, std::size_t most,
                    const std::function<std::vector<unsigned>(const Choices::Plan&)>& one);

std::string render(const Choices::Plan& plan);

// A disk of a zone with this record on it, under key(), and no more than needed around it.
Disk disk_with(const HostData& data);
Secret key();
HostData unowned();
HostData on(const Disk& disk);

}  // namespace kz::storage::sim
