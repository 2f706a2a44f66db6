#include "qemu/qmp.h"

#include "qemu/event_queue.h"
#include "qemu/qmp_connection.h"

namespace kz::qemu {

using nlohmann::json;

Qmp::Qmp(std::unique_ptr<QmpConnection> connection) : connection_(std::move(connection)) {}
Qmp::~Qmp() = default;

Result<std::unique_ptr<Qmp>> Qmp::attach(UniqueFd socket, Deadline deadline, QmpHandlers handlers) {
    KZ_TRY_CONTEXT(auto connection, QmpConnection::open(std::move(socket), deadline, std::move(handlers)),
                   "QEMU monitor");
    return std::unique_ptr<Qmp>(new Qmp(std::move(connection)));
}

Result<json> Qmp::execute(std::string_view command, json arguments, Deadline deadline) {
    return connection_->execute(command, arguments, -1, deadline);
}

Result<json> Qmp::execute_with_fd(std::string_view command, json arguments, int fd, Deadline deadline) {
    return connection_->execute(command, arguments, fd, deadline);
}

Result<json> Qmp::execute_out_of_band(std::string_view command, json arguments, Deadline deadline) {
    return connection_->execute(command, arguments, -1, deadline, QmpOrder::out_of_band);
}

bool Qmp::connected() const {
    return connection_->connected();
}

const json& Qmp::version() const {
    return connection_->version();
}

void Qmp::close() {
    connection_->close();
}

Result<EventWait> EventWait::subscribe(Qmp& qmp, std::vector<std::string> names) {
    KZ_TRY(std::shared_ptr<EventQueue> queue, EventQueue::create(std::move(names)));
    qmp.connection_->subscribe(queue);
    return EventWait(std::move(queue));
}

Result<QmpEvent> EventWait::next(Deadline deadline, int cancel_fd) {
    return queue_->next(deadline, cancel_fd);
}

int EventWait::fd() const {
    return queue_->fd();
}

Result<QmpEvent> wait_event(Qmp& qmp, std::vector<std::string> names, Deadline deadline, int cancel_fd) {
    KZ_TRY(EventWait wait, EventWait::subscribe(qmp, std::move(names)));
    return wait.next(deadline, cancel_fd);
}

}  // namespace kz::qemu
