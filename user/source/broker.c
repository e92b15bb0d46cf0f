// SPDX-License-Identifier: GPL-2.0-only
/* broker.h: the connection */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaloss/base.h>

#include "source/broker_internal.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	URLS_MAX = 32,
	FIRST_TRY_MS = 2000, /* each server, when it is opened */
	RECONNECT_MS = 500,
	PING_MS = 5000,
	PINGS_OUT = 2,
	TRY_MS = 1000, /* between two tries to connect */
	MAX_PENDING = 256,
	PUBLIC_KEY_LEN = 56,
};

/* ---- What libnats' threads say ---- */

void kl_broker_wake(struct kl_broker *b)
{
	const uint64_t one = 1;

	/* (Full: whoever waits is awake.) */
	(void)!write(b->fd, &one, sizeof(one));
}

static void note_trouble(struct kl_broker *b, const char *text)
{
	const char *place = text[0] == '(' ? strstr(text, "): ") : NULL;

	/* (libnats says where in its source that is.) */
	text = place ? place + 3 : text;
	snprintf(b->trouble, sizeof(b->trouble), "%.200s", text);
	b->trouble[strcspn(b->trouble, "\r\n")] = '\0';
}

/* The server's own URL may hold a password. */
static void note_server(struct kl_broker *b, natsConnection *nc)
{
	char url[256] = "";
	const char *at;

	if (natsConnection_GetConnectedUrl(nc, url, sizeof(url)) != NATS_OK)
		return;
	at = strrchr(url, '@');
	at = at ? at + 1 : strstr(url, "://") ? strstr(url, "://") + 3 : url;
	snprintf(b->server, sizeof(b->server), "%.127s", at);
}

static void on_connected(natsConnection *nc, void *arg)
{
	struct kl_broker *b = arg;

	pthread_mutex_lock(&b->lock);
	b->connected = true;
	b->connects++;
	b->trouble[0] = '\0';
	note_server(b, nc);
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
}

static void on_disconnected(natsConnection *nc, void *arg)
{
	struct kl_broker *b = arg;
	const char *last = NULL;

	natsConnection_GetLastError(nc, &last);
	pthread_mutex_lock(&b->lock);
	b->connected = false;
	if (!b->trouble[0])
		note_trouble(b, last && last[0] ? last : "the connection was lost");
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
}

/* It is not tried again, as where the server does not let us in. */
static void on_closed(natsConnection *nc, void *arg)
{
	struct kl_broker *b = arg;

	on_disconnected(nc, arg);
	pthread_mutex_lock(&b->lock);
	b->closed = true;
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
}

/* What is not an answer to anything: a subject that is not allowed, most of all. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
	struct kl_broker *b = arg;
	const char *last = NULL;

	(void)sub;
	natsConnection_GetLastError(nc, &last);
	pthread_mutex_lock(&b->lock);
	note_trouble(b, last && last[0] ? last : natsStatus_GetText(s));
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
}

/* ---- Errors ---- */

int kl_broker_errno(natsStatus s, jsErrCode code)
{
	if (code == JSStreamNotFoundErr || s == NATS_NOT_FOUND)
		return -ENOENT;
	if (code == JSNotEnabledErr || code == JSNotEnabledForAccountErr)
		return -EOPNOTSUPP;
	switch (s) {
	case NATS_NO_RESPONDERS:
		return -ENOENT;
	case NATS_TIMEOUT:
		return -ETIMEDOUT;
	case NATS_NO_MEMORY:
		return -ENOMEM;
	case NATS_CONNECTION_CLOSED:
	case NATS_CONNECTION_DISCONNECTED:
	case NATS_NOT_YET_CONNECTED:
	case NATS_NO_SERVER:
	case NATS_STALE_CONNECTION:
	case NATS_INSUFFICIENT_BUFFER:
		return -ENOTCONN;
	case NATS_NOT_PERMITTED:
	case NATS_CONNECTION_AUTH_FAILED:
		return -EACCES;
	default:
		return -EIO;
	}
}

int kl_broker_fail(struct kl_error *err, natsStatus s, jsErrCode code, const char *what)
{
	natsStatus last = NATS_OK;
	const char *text = nats_GetLastError(&last);

	return kl_fail(err, kl_broker_errno(s, code), "%s: %.300s", what,
		       last == s && text && text[0] ? text : natsStatus_GetText(s));
}

/* ---- Options ---- */

static int set_urls(struct kl_broker *b, struct kl_error *err)
{
	_cleanup_free_ char *copy = strdup(b->config.urls);
	const char *list[URLS_MAX];
	char *rest = copy, *item;
	int count = 0, r = kl_broker_check_urls(b->config.urls, err);
	natsStatus s;

	if (r)
		return r;
	if (!copy)
		return kl_fail(err, -ENOMEM, "out of memory");
	while ((item = strsep(&rest, ","))) {
		if (count == URLS_MAX)
			return kl_fail(err, -EINVAL, "more than %d URLs", URLS_MAX);
		list[count++] = item;
	}
	s = natsOptions_SetServers(b->options, list, count);
	return s == NATS_OK ? 0
			    : kl_fail(err, -EINVAL, "a URL is nats://HOST:PORT: %s",
				      natsStatus_GetText(s));
}

/* The user's public key stands beside its seed: libnats does not work it out. */
static int read_public_key(struct kl_broker *b, struct kl_error *err)
{
	const char *path = b->config.nkey_seed;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[256];

	if (!file)
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		size_t len = 0;

		while (isupper((unsigned char)line[len]) || isdigit((unsigned char)line[len]))
			len++;
		if (line[0] != 'U' || len != PUBLIC_KEY_LEN || !isspace((unsigned char)line[len]))
			continue;
		memcpy(b->public_key, line, len);
		return 0;
	}
	return kl_fail(err, -EINVAL,
		       "%s: it needs the user's public key as well, on a line of its own (U and 55 "
		       "more characters; nk -inkey FILE -pubout prints it)",
		       path);
}

static bool is_readable(const char *path, struct kl_error *err)
{
	if (!path || !access(path, R_OK))
		return true;
	kl_set_error(err, "%s: %s", path, strerror(errno));
	return false;
}

static int set_user(struct kl_broker *b, struct kl_error *err)
{
	const struct kl_broker_config *c = &b->config;
	natsStatus s = NATS_OK;
	int r;

	if (c->creds && c->nkey_seed)
		return kl_fail(err, -EINVAL, "a credentials file and an NKEY exclude each other");
	if (c->creds) {
		if (!is_readable(c->creds, err))
			return -errno;
		s = natsOptions_SetUserCredentialsFromFiles(b->options, c->creds, NULL);
	}
	if (c->nkey_seed) {
		if ((r = read_public_key(b, err)))
			return r;
		s = natsOptions_SetNKeyFromSeed(b->options, b->public_key, c->nkey_seed);
	}
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, 0, c->creds ?: c->nkey_seed);
}

static int set_tls(struct kl_broker *b, struct kl_error *err)
{
	const struct kl_broker_config *c = &b->config;
	natsStatus s;

	if (!c->tls_cert != !c->tls_key)
		return kl_fail(err, -EINVAL, "a certificate and its key go together");
	if (!c->tls_ca && !c->tls_cert && !strstr(c->urls, "tls://"))
		return 0;
	s = natsOptions_SetSecure(b->options, true);
	if (!is_readable(c->tls_ca, err) || !is_readable(c->tls_cert, err) ||
	    !is_readable(c->tls_key, err))
		return -errno;
	if (s == NATS_OK && c->tls_ca) {
		s = natsOptions_LoadCATrustedCertificates(b->options, c->tls_ca);
		if (s != NATS_OK)
			return kl_broker_fail(err, s, 0, c->tls_ca);
	}
	if (s == NATS_OK && c->tls_cert) {
		s = natsOptions_LoadCertificatesChain(b->options, c->tls_cert, c->tls_key);
		if (s != NATS_OK)
			return kl_broker_fail(err, s, 0, c->tls_cert);
	}
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, 0, "TLS");
}

static int set_options(struct kl_broker *b, struct kl_error *err)
{
	natsStatus s = natsOptions_Create(&b->options);
	natsOptions *o = b->options;

	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(o, -1);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectWait(o, RECONNECT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetTimeout(o, FIRST_TRY_MS);
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(o, PING_MS);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(o, PINGS_OUT);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(o, on_connected, b);
	if (s == NATS_OK)
		s = natsOptions_SetDisconnectedCB(o, on_disconnected, b);
	if (s == NATS_OK)
		s = natsOptions_SetClosedCB(o, on_closed, b);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(o, on_error, b);
	if (s == NATS_OK && b->config.inbox)
		s = natsOptions_SetCustomInboxPrefix(o, b->config.inbox);
	if (s == NATS_OK && b->config.name)
		s = natsOptions_SetName(o, b->config.name);
	if (s != NATS_OK)
		return kl_broker_fail(err, s, 0, "libnats");
	return set_urls(b, err) ?: set_tls(b, err) ?: set_user(b, err);
}

/* ---- Connecting ---- */

/* Where it was stopped meanwhile: true. */
static bool wait_to_try(struct kl_broker *b)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TRY_MS / 1000;
	while (!b->stopping && !pthread_cond_timedwait(&b->wake, &b->lock, &until))
		;
	return b->stopping;
}

/*
 * A thread of its own, for each try waits for the network. (libnats would try by itself, but then it
 * does not say why it was not let in.)
 */
static void *connect_until_made(void *arg)
{
	struct kl_broker *b = arg;
	natsConnection *nc = NULL;

	pthread_mutex_lock(&b->lock);
	while (!b->stopping) {
		natsStatus s, last;
		const char *text;

		pthread_mutex_unlock(&b->lock);
		s = natsConnection_Connect(&nc, b->options);
		text = nats_GetLastError(&last);
		pthread_mutex_lock(&b->lock);
		if (s == NATS_OK) {
			b->made = nc;
			break;
		}
		note_trouble(b, last == s && text ? text : natsStatus_GetText(s));
		kl_broker_wake(b);
		if (wait_to_try(b))
			break;
	}
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
	return NULL;
}

static void start_connecting(struct kl_broker *b)
{
	b->connecting = !pthread_create(&b->connector, NULL, connect_until_made, b);
}

static void forget_connection(struct kl_broker *b)
{
	jsCtx_Destroy(b->js);
	natsConnection_Close(b->nc);
	natsConnection_Destroy(b->nc);
	b->js = NULL;
	b->nc = NULL;
}

/* What the connector made becomes ours. */
static void adopt(struct kl_broker *b)
{
	natsConnection *made;

	pthread_mutex_lock(&b->lock);
	made = b->made;
	b->made = NULL;
	pthread_mutex_unlock(&b->lock);
	if (!made)
		return;
	pthread_join(b->connector, NULL);
	b->connecting = false;
	b->nc = made;
}

/* Where there is no memory for it, it is tried again with the next look. */
static void begin_to_use(struct kl_broker *b)
{
	jsOptions js;

	jsOptions_Init(&js);
	js.Wait = KL_BROKER_WAIT_MS;
	js.PublishAsync.AckHandler = kl_broker_on_ack;
	js.PublishAsync.AckHandlerClosure = b;
	if (natsConnection_JetStream(&b->js, b->nc, &js) != NATS_OK)
		return;
	/* (If it broke already, its handler was or will be called.) */
	if (natsConnection_Status(b->nc) == NATS_CONN_STATUS_CONNECTED)
		on_connected(b->nc, b);
}

/* ---- From start to end ---- */

static void init_lock(struct kl_broker *b)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&b->lock, NULL);
}

int kl_broker_open(const struct kl_broker_config *config, struct kl_broker **ret,
		   struct kl_error *err)
{
	struct kl_broker *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return kl_fail(err, -ENOMEM, "out of memory");
	b->config = *config;
	if (!b->config.max_pending)
		b->config.max_pending = MAX_PENDING;
	init_lock(b);
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->flying = calloc(b->config.max_pending, sizeof(*b->flying));
	if (b->fd < 0 || !b->flying)
		r = kl_fail(err, -errno, "eventfd: %s", strerror(errno));
	else
		r = set_options(b, err);
	if (r) {
		kl_broker_close(b);
		return r;
	}
	start_connecting(b);
	*ret = b;
	return 0;
}

void kl_broker_close(struct kl_broker *b)
{
	if (!b)
		return;
	if (b->connecting) {
		pthread_mutex_lock(&b->lock);
		b->stopping = true;
		pthread_cond_signal(&b->wake);
		pthread_mutex_unlock(&b->lock);
		pthread_join(b->connector, NULL);
		b->nc = b->made;
	}
	forget_connection(b);
	natsOptions_Destroy(b->options);
	/* Its threads may still be about to tell us what became of the connection. */
	if (b->options && nats_CloseAndWait(KL_BROKER_WAIT_MS) == NATS_TIMEOUT)
		return;
	while (b->first) {
		struct kl_broker_news *next = b->first->next;

		free(b->first);
		b->first = next;
	}
	free(b->flying);
	kl_closep(&b->fd);
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int kl_broker_fd(const struct kl_broker *b)
{
	return b->fd;
}

void kl_broker_look(struct kl_broker *b)
{
	uint64_t count;
	bool closed;

	(void)!read(b->fd, &count, sizeof(count));
	kl_broker_give_up(b, kl_monotonic_ns() - 2 * KL_BROKER_WAIT_MS * KL_NS_PER_MS);
	if (b->connecting)
		adopt(b);
	pthread_mutex_lock(&b->lock);
	closed = b->closed;
	b->closed = false;
	pthread_mutex_unlock(&b->lock);
	if (closed) {
		forget_connection(b);
		kl_broker_give_up(b, UINT64_MAX);
	}
	if (b->nc && !b->js)
		begin_to_use(b);
	if (!b->nc && !b->connecting)
		start_connecting(b);
}

void kl_broker_status(struct kl_broker *b, struct kl_broker_status *ret)
{
	*ret = (struct kl_broker_status){ .sent = b->sent };
	pthread_mutex_lock(&b->lock);
	ret->connected = b->connected;
	ret->connects = b->connects;
	memcpy(ret->server, b->server, sizeof(ret->server));
	memcpy(ret->trouble, b->trouble, sizeof(ret->trouble));
	pthread_mutex_unlock(&b->lock);
}
