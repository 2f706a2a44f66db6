// An Environment in memory, and a session on it that is driven by lines.
#pragma once

#include <deque>
#include <map>

#include "zonecfg/environment.h"
#include "zonecfg/session.h"

namespace kz::zonecfg {

class FakeEnvironment : public Environment {
  public:
    Result<zone::Config> load_zone(const std::string& name) override {
        const auto found = zones.find(name);
        if (found == zones.end()) return fail(Errc::not_found, "{}: No such zone configured", name);
        return found->second;
    }
    Result<zone::Config> load_template(const std::string& name) override { return load_zone(name); }
    Result<zone::Config> load_file(const std::string& path, const std::string& zone_name) override;
    std::vector<std::string> template_names() override { return {"SYSblank", "SYSdefault"}; }
    std::optional<zone::State> state(const std::string& name) override {
        if (const auto found = states.find(name); found != states.end()) return found->second;
        return zones.contains(name) ? std::optional(zone::State::configured) : std::nullopt;
    }
    Result<void> save(const zone::Config& config, const std::optional<zone::Config>& stored) override {
        if (save_error) return std::unexpected(*save_error);
        if (stored) zones.erase(stored->name());
        zones.insert_or_assign(config.name(), config);
        ++saves;
        return {};
    }
    Result<void> remove(const std::string& name) override {
        zones.erase(name);
        return {};
    }
    Result<void> write_file(const std::string& path, std::string_view text) override {
        files[path] = text;
        return {};
    }
    bool may_write() override { return writable; }
    Result<void> check_storage(std::string_view text) override {
        checked_storage.emplace_back(text);
        if (text.contains("malformed")) return fail(Errc::invalid_argument, "position 7: malformed");
        return {};
    }
    std::uint32_t random_hostid() override { return 0x2e7d2173; }
    std::optional<bool> ask(std::string_view question) override {
        questions.emplace_back(question);
        if (answers.empty()) return std::nullopt;
        const bool answer = answers.front();
        answers.pop_front();
        return answer;
    }
    void out(std::string_view text) override { output += text; }
    void err(std::string_view text) override { errors += text; }

    std::vector<std::string> checked_storage;
    std::map<std::string, zone::Config> zones;
    std::map<std::string, zone::State> states;
    std::map<std::string, std::string> files;
    std::optional<Error> save_error;
    std::deque<bool> answers;  // when there are none left, there is no terminal
    std::vector<std::string> questions;
    std::string output;
    std::string errors;
    bool writable = true;
    int saves = 0;
};

// What a template holds in these tests: everything of the shipped one.
zone::Config default_template();

// Runs a session to its end and returns its status.
int run_session(FakeEnvironment& environment, Source source, const std::vector<std::string>& lines,
                const std::string& zone = "ant1");

}  // namespace kz::zonecfg
