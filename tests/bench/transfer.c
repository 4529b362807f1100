/* The load of large bodies: sends them, or takes them, as fast as the server does.
 *
 * wrk copies what it reads, 8 KiB at a time, and so is the slower side where a server sends megabytes. This one lets
 * the kernel throw a body away uncopied, as if the client were another machine. It believes its server: each answer has
 * a head of less than 4 KiB with a Content-Length, and nothing comes unasked.
 *
 * Usage: transfer PORT PATH CONNECTIONS SECONDS UPLOAD KEEP
 * UPLOAD is the length of the body that each request sends (0: a GET); KEEP is 0 to connect anew for each request.
 * Prints how many answers came, how many bytes of bodies were received (or, with UPLOAD, sent and answered), the time,
 * and how many requests failed: with another status than 200, or by the end of their connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 256
#define MOST_UPLOAD (16 * 1024 * 1024)
#define LONGEST_HEAD 4096
#define READ_SIZE (1024 * 1024)
/* A server that has had nothing for anybody for so long has failed. */
#define PATIENCE_MS 10000

struct client {
    int fd;
    /* Of the request, head and body: what is still to be sent. */
    size_t unsent;
    /* Of the answer's body: what is still to come; negative while its head has not come. */
    long missing;
    int closes, refused;
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static char request[LONGEST_HEAD + MOST_UPLOAD], answer[LONGEST_HEAD];
static size_t request_size, upload;
static struct client clients[MOST_CONNECTIONS];
static int epoll, keeps;
static long long answers, bytes, failed;

static void die(const char *call) {
    perror(call);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void watch(struct client *client, int change, unsigned int events) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(epoll, change, client->fd, &event) < 0) die("epoll_ctl");
}

static void send_more(struct client *client) {
    const char *rest = request + request_size - client->unsent;
    ssize_t sent = send(client->fd, rest, client->unsent, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* A connection that is gone is noticed where it is read. */
    if (sent > 0) client->unsent -= (size_t)sent;
}

static void ask(struct client *client) {
    client->unsent = request_size;
    client->missing = -1;
    send_more(client);
    if (client->unsent > 0) watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void connect_anew(struct client *client) {
    if (client->fd >= 0) close(client->fd);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0) die("socket");
    int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
    watch(client, EPOLL_CTL_ADD, EPOLLIN);
    ask(client);
}

/* Takes the head off the socket once it is there whole. Returns 0 if the connection has ended, or may as well. */
static int read_head(struct client *client) {
    ssize_t got = recv(client->fd, answer, LONGEST_HEAD - 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return 0;
    answer[got] = 0;
    char *end = strstr(answer, "\r\n\r\n");
    if (!end) return got < LONGEST_HEAD - 1;
    end[2] = 0;
    char *length = strcasestr(answer, "\r\nContent-Length:");
    if (!length) return 0;
    client->missing = atol(length + strlen("\r\nContent-Length:"));
    client->closes = !keeps || strcasestr(answer, "\r\nConnection: close") != NULL;
    client->refused = strncmp(answer + strlen("HTTP/1.1 "), "200", 3) != 0;
    return recv(client->fd, answer, (size_t)(end + 4 - answer), 0) > 0;
}

static int read_body(struct client *client) {
    size_t wanted = client->missing < READ_SIZE ? (size_t)client->missing : READ_SIZE;
    ssize_t got = recv(client->fd, NULL, wanted, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return 0;
    client->missing -= got;
    if (!upload) bytes += got;
    return 1;
}

static void read_more(struct client *client) {
    int is_there = client->missing < 0 ? read_head(client) : read_body(client);
    if (!is_there) {
        failed++;
        connect_anew(client);
    } else if (client->missing == 0) {
        answers++;
        failed += client->refused;
        bytes += (long long)upload;
        /* An answer to half a request leaves a connection that is of no more use. */
        if (client->closes || client->unsent > 0) connect_anew(client);
        else ask(client);
    }
}

static void serve(struct epoll_event *event) {
    struct client *client = event->data.ptr;
    if (event->events & EPOLLOUT) {
        send_more(client);
        if (client->unsent == 0) watch(client, EPOLL_CTL_MOD, EPOLLIN);
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_more(client);
}

static void compose(const char *path) {
    int size = snprintf(request, LONGEST_HEAD, "%s %.1000s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                        upload ? "POST" : "GET", path, upload);
    memset(request + size, 'x', upload);
    request_size = (size_t)size + upload;
}

int main(int argc, char **argv) {
    int count = argc == 7 ? atoi(argv[3]) : 0;
    if (count < 1 || count > MOST_CONNECTIONS || (upload = (size_t)atol(argv[5])) > MOST_UPLOAD) {
        fprintf(stderr, "usage: %s PORT PATH CONNECTIONS SECONDS UPLOAD KEEP, with at most %d connections, %d bytes\n",
                argv[0], MOST_CONNECTIONS, MOST_UPLOAD);
        return 2;
    }
    server.sin_port = htons((unsigned short)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    keeps = atoi(argv[6]);
    compose(argv[2]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1");
    double start = now(), end = start + atof(argv[4]);
    for (int i = 0; i < count; i++) {
        clients[i].fd = -1;
        connect_anew(&clients[i]);
    }
    while (now() < end) {
        struct epoll_event events[MOST_CONNECTIONS];
        int ready = epoll_wait(epoll, events, MOST_CONNECTIONS, PATIENCE_MS);
        if (ready == 0) {
            fprintf(stderr, "nothing came for %d s\n", PATIENCE_MS / 1000);
            return 1;
        }
        for (int i = 0; i < ready; i++) serve(&events[i]);
    }
    printf("answers %lld bytes %lld seconds %.6f failed %lld\n", answers, bytes, now() - start, failed);
    return 0;
}
