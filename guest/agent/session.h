// Session: one program that somebody on the host talks to. For kz-agent's own files.
//
// What it reads from the program it takes only as far as the host has given credit, and only while the port
// has room: so none of its buffers grows without the host's consent. A program's end is the session's end:
// what it has written is sent, what others that it left behind write later is not.
#pragma once

#include <poll.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "agent/messages.h"
#include "port.h"
#include "spawn.h"

namespace kzagent {

class Session {
  public:
    Session(std::uint32_t number, Child child) : number_(number), child_(std::move(child)) {}

    std::uint32_t number() const { return number_; }
    pid_t pid() const { return child_.pid; }
    // It has been told, or need not be told, how it ended.
    bool over() const { return over_; }
    bool program_runs() const { return !exited_; }

    // False: a breach of the protocol.
    bool take_data(const std::string& payload);
    void take_end(Port& port);
    bool take_credit(std::uint8_t stream, std::uint32_t bytes);
    void resize(kz::agent::WindowSize size) const;
    void signal(int number) const;
    // The host does not want it any more.
    void hang_up();
    void program_ended(const kz::agent::Exited& how) { exited_ = how; }

    // What it waits for now.
    void add_polled(const Port& port, std::vector<pollfd>& polled) const;
    // Moves what can be moved, and tells the end.
    void work(Port& port);

  private:
    struct Output {
        std::uint32_t credit = kz::agent::kWindow;
        bool ended = false;
    };
    bool has_terminal() const { return !child_.terminal.empty(); }
    int output_fd(std::uint8_t stream) const;
    bool wants_output(std::uint8_t stream, const Port& port) const;
    void read_output(std::uint8_t stream, Port& port);
    void end_output(std::uint8_t stream, Port& port);
    void write_input(Port& port);
    void give_credit(std::size_t consumed, Port& port);

    std::uint32_t number_;
    Child child_;
    std::string input_;
    std::size_t ungiven_credit_ = 0;
    std::uint32_t input_credit_ = kz::agent::kWindow;  // what the host may still send
    bool input_ended_ = false;                         // nothing follows input_
    bool input_refused_ = false;                       // the program reads no more
    std::array<Output, 2> outputs_;                    // streams 1 and 2
    std::optional<kz::agent::Exited> exited_;
    bool over_ = false;
};

}  // namespace kzagent
