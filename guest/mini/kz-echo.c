/* kz-echo: a TCP server that sends back what it gets, for many clients at once.
 *
 *   kz-echo [-p PORT]
 *
 * Port 7 unless told otherwise; IPv4 and IPv6. The tests hold a connection to it while the zone moves. A
 * client that does not read is not read from either, so nothing is buffered without bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMaxClients = 64, kBufferSize = 4096 };

/* Bytes [start, end) of the buffer wait to be sent; it is read from only when there are none. */
struct client {
    size_t start;
    size_t end;
    char buffer[kBufferSize];
};

/* Slot 0 is the listening socket. */
static struct pollfd polled[1 + kMaxClients];
static struct client clients[1 + kMaxClients];
static nfds_t used;

static int listen_on(in_port_t port) {
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    const int on = 1;
    const int off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    const struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    if (bind(fd, (const struct sockaddr*)&address, sizeof address) < 0 || listen(fd, 16) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void accept_client(void) {
    const int fd = accept4(polled[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (used == 1 + kMaxClients) {
        close(fd);
        return;
    }
    polled[used] = (struct pollfd){.fd = fd, .events = POLLIN};
    clients[used].start = clients[used].end = 0;
    ++used;
}

/* The last client takes the place of the one that goes. */
static void drop_client(nfds_t slot) {
    close(polled[slot].fd);
    --used;
    if (slot == used) return;
    polled[slot] = polled[used];
    clients[slot] = clients[used];
}

/* 1 when the connection goes on, 0 when it is over. */
static int serve_client(nfds_t slot) {
    struct client* client = &clients[slot];
    if (client->start == client->end) {
        const ssize_t got = recv(polled[slot].fd, client->buffer, sizeof client->buffer, 0);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return 0;
        client->start = 0;
        client->end = (size_t)got;
    }
    const ssize_t sent =
        send(polled[slot].fd, client->buffer + client->start, client->end - client->start, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return 0;
    if (sent > 0) client->start += (size_t)sent;
    polled[slot].events = client->start == client->end ? POLLIN : POLLOUT;
    return 1;
}

int main(int argc, char** argv) {
    long port = 7;
    int option;
    while ((option = getopt(argc, argv, "p:")) != -1) {
        char* end = NULL;
        port = option == 'p' ? strtol(optarg, &end, 10) : 0;
        if (end == NULL || *end != '\0' || port < 1 || port > 65535) {
            fprintf(stderr, "usage: kz-echo [-p PORT]\n");
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    polled[0] = (struct pollfd){.fd = listen_on((in_port_t)port), .events = POLLIN};
    used = 1;
    if (polled[0].fd < 0) {
        fprintf(stderr, "kz-echo: port %ld: %s\n", port, strerror(errno));
        return 1;
    }
    for (;;) {
        if (poll(polled, used, -1) < 0) {
            if (errno == EINTR) continue;
            fprintf(stderr, "kz-echo: poll: %s\n", strerror(errno));
            return 1;
        }
        /* Downwards: a dropped client's place is taken by one that has been served already. */
        for (nfds_t slot = used; slot-- > 1;)
            if (polled[slot].revents != 0 && !serve_client(slot)) drop_client(slot);
        if (polled[0].revents != 0) accept_client();
    }
}
