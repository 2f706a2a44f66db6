#include "os/systemd.h"

#include <poll.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string_view>

namespace kz {
namespace {

constexpr const char* kDestination = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kPrivateSocket = "unix:path=/run/systemd/private";
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
// A monitor that is asked to end halts its zone, which may have much to write.
constexpr std::uint64_t kStopTimeUs = 90'000'000;
constexpr std::uint64_t kAnswerTimeUs = 10'000'000;
constexpr int kLookAgainMs = 10;

struct Unref {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using BusMessage = std::unique_ptr<sd_bus_message, Unref>;

struct BusError {
    BusError() = default;
    BusError(const BusError&) = delete;
    BusError& operator=(const BusError&) = delete;
    ~BusError() { sd_bus_error_free(&error); }
    bool is(const char* name) const { return sd_bus_error_has_name(&error, name) != 0; }
    std::string text(int code) const {
        return error.message != nullptr ? error.message : std::string(strerrordesc_np(-code));
    }
    sd_bus_error error = SD_BUS_ERROR_NULL;
};

// Appends to a message; the first failure is kept, and everything after it is left out.
class Writer {
  public:
    explicit Writer(sd_bus_message* message) : message_(message) {}

    Writer& text(const std::string& value) {
        return note(sd_bus_message_append(message_, "s", value.c_str()));
    }
    Writer& property(const char* name, const char* value) {
        return note(sd_bus_message_append(message_, "(sv)", name, "s", value));
    }
    Writer& property(const char* name, std::uint64_t value) {
        return note(sd_bus_message_append(message_, "(sv)", name, "t", value));
    }
    Writer& property(const char* name, const std::vector<std::string>& values) {
        open('r', "sv").text(name).open('v', "as").strings(values);
        return close().close();
    }
    // ExecStart has one command: path, arguments with the program's own name, no failure ignored.
    Writer& command(const std::vector<std::string>& argv) {
        open('r', "sv").text("ExecStart").open('v', "a(sasb)").open('a', "(sasb)").open('r', "sasb");
        text(argv.front()).strings(argv).note(sd_bus_message_append(message_, "b", 0));
        return close().close().close().close();
    }
    Writer& processes(pid_t process) {
        return note(
            sd_bus_message_append(message_, "(sv)", "PIDs", "au", 1U, static_cast<std::uint32_t>(process)));
    }
    Writer& open(char type, const char* contents) {
        return note(sd_bus_message_open_container(message_, type, contents));
    }
    Writer& close() { return note(sd_bus_message_close_container(message_)); }
    // After the properties: no other units.
    Writer& no_others() { return note(sd_bus_message_append(message_, "a(sa(sv))", 0)); }
    int outcome() const { return outcome_; }

  private:
    Writer& strings(const std::vector<std::string>& values) {
        open('a', "s");
        for (const std::string& value : values)
            text(value);
        return close();
    }
    Writer& note(int result) {
        if (outcome_ >= 0 && result < 0) outcome_ = result;
        return *this;
    }
    sd_bus_message* message_;
    int outcome_ = 0;
};

// A message that makes a unit, up to the properties that all have.
Result<BusMessage> transient_unit(sd_bus* bus, const TransientUnit& unit) {
    sd_bus_message* made = nullptr;
    int done = sd_bus_message_new_method_call(bus, &made, kDestination, kManagerPath, kManager,
                                              "StartTransientUnit");
    BusMessage message(made);
    if (done >= 0) {
        Writer writer(made);
        writer.text(unit.name)
            .text("fail")
            .open('a', "(sv)")
            .property("Description", unit.description.c_str())
            .property("Slice", unit.slice.c_str())
            .property("CollectMode", "inactive-or-failed")
            .property("TimeoutStopUSec", kStopTimeUs)
            .property("TasksMax", kNoLimit);
        if (!unit.before.empty()) writer.property("Before", std::vector{unit.before});
        done = writer.outcome();
    }
    if (done < 0) return fail_errno(-done, unit.name);
    return message;
}

// A unit that has failed keeps its name until that is forgotten.
void forget_failure(sd_bus* bus, const std::string& name) {
    // Not every unit that has the name has failed.
    sd_bus_call_method(bus, kDestination, kManagerPath, kManager, "ResetFailedUnit", nullptr, nullptr, "s",
                       name.c_str());
}

Result<void> start_unit(sd_bus* bus, sd_bus_message* message, const std::string& name, Deadline deadline) {
    while (true) {
        BusError error;
        const int done = sd_bus_call(bus, message, kAnswerTimeUs, &error.error, nullptr);
        if (done >= 0) return {};
        if (!error.is("org.freedesktop.systemd1.UnitExists"))
            return fail(Errc::unavailable, "systemd did not start {}: {}", name, error.text(done));
        if (deadline.passed()) return fail(Errc::busy, "{} has not ended", name);
        forget_failure(bus, name);
        ::poll(nullptr, 0, kLookAgainMs);
    }
}

Result<std::string> unit_property(sd_bus* bus, const std::string& object, const char* name) {
    BusError error;
    char* value = nullptr;
    const int done =
        sd_bus_get_property_string(bus, kDestination, object.c_str(), kUnit, name, &error.error, &value);
    const std::unique_ptr<char, decltype(&::free)> owned(value, &::free);
    if (done < 0) return fail(Errc::unavailable, "systemd: {}", error.text(done));
    return std::string(value);
}

// The object of a unit; empty when there is none of that name.
Result<std::string> unit_object(sd_bus* bus, const std::string& name) {
    BusError error;
    sd_bus_message* answer = nullptr;
    int done = sd_bus_call_method(bus, kDestination, kManagerPath, kManager, "GetUnit", &error.error, &answer,
                                  "s", name.c_str());
    const BusMessage owned(answer);
    if (error.is("org.freedesktop.systemd1.NoSuchUnit")) return std::string();
    const char* path = nullptr;
    if (done >= 0) done = sd_bus_message_read(answer, "o", &path);
    if (done < 0) return fail(Errc::unavailable, "systemd: {}", error.text(done));
    return std::string(path);
}

// A job that is to start it may still wait for its turn.
Result<bool> has_job(sd_bus* bus, const std::string& object) {
    BusError error;
    sd_bus_message* answer = nullptr;
    int done =
        sd_bus_get_property(bus, kDestination, object.c_str(), kUnit, "Job", &error.error, &answer, "(uo)");
    const BusMessage owned(answer);
    std::uint32_t number = 0;
    const char* path = nullptr;
    if (done >= 0) done = sd_bus_message_read(answer, "(uo)", &number, &path);
    if (done < 0) return fail(Errc::unavailable, "systemd: {}", error.text(done));
    return number != 0;
}

}  // namespace

void Systemd::CloseBus::operator()(sd_bus* bus) const {
    sd_bus_flush_close_unref(bus);
}

bool Systemd::is_running() {
    return sd_booted() > 0;
}

Result<Systemd::Bus> Systemd::open_bus() {
    sd_bus* opened = nullptr;
    if (sd_bus_open_system(&opened) >= 0) return Bus(opened);
    int done = sd_bus_new(&opened);
    Bus bus(done >= 0 ? opened : nullptr);
    if (done >= 0) done = sd_bus_set_address(opened, kPrivateSocket);
    if (done >= 0) done = sd_bus_start(opened);
    if (done < 0) return fail(Errc::unavailable, "systemd cannot be asked: {}", strerrordesc_np(-done));
    return bus;
}

Result<Systemd> Systemd::connect() {
    KZ_TRY(Bus bus, open_bus());
    return Systemd(std::move(bus));
}

Result<void> Systemd::start_service(const TransientService& service, Deadline deadline) {
    const std::string& name = service.unit.name;
    KZ_TRY(const BusMessage message, transient_unit(bus_.get(), service.unit));
    std::vector<std::string> environment;
    for (const auto& [key, value] : service.environment)
        environment.push_back(key + "=" + value);
    // The main process ends its zone when it is told to; what is left of its helpers after that is killed.
    const int done = Writer(message.get())
                         .property("Type", "exec")
                         .property("KillMode", "mixed")
                         .property("OOMPolicy", "continue")
                         .property("Environment", environment)
                         .command(service.argv)
                         .close()
                         .no_others()
                         .outcome();
    if (done < 0) return fail_errno(-done, name);
    return start_unit(bus_.get(), message.get(), name, deadline);
}

Result<void> Systemd::start_scope(const TransientUnit& scope, pid_t process, Deadline deadline) {
    KZ_TRY(const BusMessage message, transient_unit(bus_.get(), scope));
    const int done = Writer(message.get()).processes(process).close().no_others().outcome();
    if (done < 0) return fail_errno(-done, scope.name);
    KZ_CHECK(start_unit(bus_.get(), message.get(), scope.name, deadline));
    while (true) {
        KZ_TRY(const std::string object, unit_object(bus_.get(), scope.name));
        if (object.empty()) return fail(Errc::unavailable, "systemd did not start {}", scope.name);
        KZ_TRY(const bool pending, has_job(bus_.get(), object));
        if (!pending) return {};
        if (deadline.passed()) return fail(Errc::timeout, "systemd does not start {}", scope.name);
        ::poll(nullptr, 0, kLookAgainMs);
    }
}

Result<bool> Systemd::is_up(const std::string& unit) {
    KZ_TRY(const std::string object, unit_object(bus_.get(), unit));
    if (object.empty()) return false;
    KZ_TRY(const std::string state, unit_property(bus_.get(), object, "ActiveState"));
    if (state == "active" || state == "activating") return true;
    return has_job(bus_.get(), object);
}

}  // namespace kz
