// SPDX-License-Identifier: GPL-2.0-only
#include "report/metrics_http.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "report/metrics_text.h"
#include "util/cleanup.h"
#include "util/duration.h"
#include "util/socket_address.h"

enum {
	BACKLOG = 128,
	CONNECTIONS_MAX = 256,
	/* More than this, and the oldest gives way. The library takes up to 10 at a time. */
	CONNECTIONS_WANTED = 192,
	CONNECTIONS_PER_HOST = 224,
	CONNECTION_BYTES = 8 << 10, /* a request with its headers */
	SILENT_S = 10,		    /* a connection is closed after this */
	TICKS_MISSED = 3,
};

/* A tick may be late by this much on a busy host, however short the interval is. */
#define TICK_GRACE_NS (2 * KL_NS_PER_S)

struct connection {
	int fd; /* < 0: free */
	uint64_t number;
	bool ended;
};

struct kl_metrics_http {
	int fd; /* until the daemon has it; then -1 */
	struct MHD_Daemon *daemon;

	/* The thread's own. */
	struct connection connection[CONNECTIONS_MAX];
	uint64_t connections;

	pthread_mutex_t lock; /* held for as long as a copy takes */
	struct kl_metrics metrics;
	uint64_t tick_ns; /* CLOCK_MONOTONIC */
	uint64_t interval_ns;
};

/* ---- What is answered ---- */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, const char *type,
			       char *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result r;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET");
	r = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
	return respond(c, status, "text/plain; charset=utf-8", (char *)text, strlen(text),
		       MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer_metrics(struct kl_metrics_http *h, struct MHD_Connection *c)
{
	_cleanup_free_ struct kl_metrics *m = malloc(sizeof(*m));
	char *text = NULL;
	size_t len = 0;
	FILE *out = m ? open_memstream(&text, &len) : NULL;
	bool failed;

	if (!out)
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	pthread_mutex_lock(&h->lock);
	*m = h->metrics;
	pthread_mutex_unlock(&h->lock);
	kl_metrics_print(out, m);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(text);
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	}
	return respond(c, MHD_HTTP_OK, KL_METRICS_TYPE, text, len, MHD_RESPMEM_MUST_FREE);
}

bool kl_metrics_healthy(uint64_t tick_ns, uint64_t interval_ns, uint64_t now_ns, char *ret,
			size_t size)
{
	double age_s = now_ns > tick_ns ? (double)(now_ns - tick_ns) / 1e9 : 0;

	if (!tick_ns) {
		snprintf(ret, size, "starting: there was no tick yet\n");
		return false;
	}
	if (now_ns > tick_ns && now_ns - tick_ns > TICKS_MISSED * interval_ns + TICK_GRACE_NS) {
		snprintf(ret, size,
			 "stuck: the last tick was %.1f s ago, and one is due every %.1f s\n",
			 age_s, (double)interval_ns / 1e9);
		return false;
	}
	snprintf(ret, size, "ok: the last tick was %.1f s ago\n", age_s);
	return true;
}

static enum MHD_Result answer_health(struct kl_metrics_http *h, struct MHD_Connection *c)
{
	uint64_t tick_ns, interval_ns;
	char text[128];
	bool well;

	pthread_mutex_lock(&h->lock);
	tick_ns = h->tick_ns;
	interval_ns = h->interval_ns;
	pthread_mutex_unlock(&h->lock);
	well = kl_metrics_healthy(tick_ns, interval_ns, kl_monotonic_ns(), text, sizeof(text));
	return say(c, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **request)
{
	static char begun;
	struct kl_metrics_http *h = arg;

	(void)version;
	(void)upload;
	(void)upload_size;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is answered here\n");
	/* The first call comes before the rest of the request is read. */
	if (!*request) {
		*request = &begun;
		return MHD_YES;
	}
	if (!strcmp(url, "/metrics"))
		return answer_metrics(h, c);
	if (!strcmp(url, "/healthz"))
		return answer_health(h, c);
	if (!strcmp(url, "/"))
		return say(c, MHD_HTTP_OK,
			   "kaloss " KL_VERSION "\n/metrics  for Prometheus\n/healthz  is it "
			   "counting?\n");
	return say(c, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
}

/* ---- Connections ---- */

static void make_room(struct kl_metrics_http *h)
{
	struct connection *oldest = NULL;
	size_t count = 0;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &h->connection[i];

		if (c->fd < 0 || c->ended)
			continue;
		count++;
		if (!oldest || c->number < oldest->number)
			oldest = c;
	}
	if (count < CONNECTIONS_WANTED)
		return;
	/* The library closes it when it reads the end. */
	shutdown(oldest->fd, SHUT_RDWR);
	oldest->ended = true;
}

static void take_connection(void *arg, struct MHD_Connection *c, void **context,
			    enum MHD_ConnectionNotificationCode what)
{
	struct kl_metrics_http *h = arg;
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		struct connection *mine = *context;

		if (mine)
			mine->fd = -1;
		return;
	}
	make_room(h);
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (size_t i = 0; info && i < CONNECTIONS_MAX; i++) {
		if (h->connection[i].fd >= 0)
			continue;
		h->connection[i] = (struct connection){ .fd = info->connect_fd,
							.number = h->connections++ };
		*context = &h->connection[i];
		return;
	}
}

/* ---- From start to end ---- */

/* ":9105" and "9105" are of the loopback: who wants it elsewhere says where. */
static int read_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
			struct kl_error *err)
{
	const char *port = text[0] == ':' ? text + 1 : text;
	char local[32];

	if (strlen(port) <= 5 && !port[strspn(port, "0123456789")])
		snprintf(local, sizeof(local), "127.0.0.1:%s", port);
	else
		local[0] = '\0';
	if (kl_socket_address_parse(local[0] ? local : text, 0, ret, ret_len))
		return kl_fail(
			err, -EINVAL,
			"%s is no ADDRESS:PORT (such as 127.0.0.1:9105, [::1]:9105 or :9105)",
			text);
	return 0;
}

int kl_metrics_http_check(const char *address, struct kl_error *err)
{
	struct sockaddr_storage unused;
	socklen_t len;

	return read_address(address, &unused, &len, err);
}

static int listen_at(const char *text, int *ret, struct kl_error *err)
{
	struct sockaddr_storage address;
	const int on = 1;
	socklen_t len;
	int r = read_address(text, &address, &len, err);
	int fd;

	if (r)
		return r;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return kl_fail(err, -errno, "%s: %s", text, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, len) || listen(fd, BACKLOG)) {
		r = kl_fail(err, -errno, "%s: %s", text, strerror(errno));
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int kl_metrics_http_open(const char *address, uint64_t interval_ns, struct kl_metrics_http **ret,
			 struct kl_error *err)
{
	struct kl_metrics_http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return kl_fail(err, -ENOMEM, "out of memory");
	h->interval_ns = interval_ns;
	h->fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		h->connection[i].fd = -1;
	r = listen_at(address, &h->fd, err);
	if (r)
		kl_metrics_http_close(h);
	else
		*ret = h;
	return r;
}

int kl_metrics_http_start(struct kl_metrics_http *h, struct kl_error *err)
{
	int fd = h->fd;

	/* The library's from here on. */
	h->fd = -1;
	h->daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, answer, h,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				     (unsigned)CONNECTIONS_PER_HOST, MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned)SILENT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
				     take_connection, h, MHD_OPTION_END);
	return h->daemon ? 0 : kl_fail(err, -EIO, "the HTTP server does not start");
}

void kl_metrics_http_close(struct kl_metrics_http *h)
{
	if (!h)
		return;
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	kl_closep(&h->fd);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void kl_metrics_http_tell(struct kl_metrics_http *h, const struct kl_metrics *m)
{
	uint64_t now_ns = kl_monotonic_ns();

	pthread_mutex_lock(&h->lock);
	h->metrics = *m;
	h->tick_ns = now_ns;
	pthread_mutex_unlock(&h->lock);
}

void kl_metrics_http_expect(struct kl_metrics_http *h, uint64_t interval_ns)
{
	pthread_mutex_lock(&h->lock);
	h->interval_ns = interval_ns;
	pthread_mutex_unlock(&h->lock);
}
