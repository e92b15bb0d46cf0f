// SPDX-License-Identifier: GPL-2.0-only
// Small things the lab's tools share: the clock, cleanup helpers, option parsing, the SCCP
// header. Everything is static inline; there is no library to link.
#ifndef KALOSS_LAB_H
#define KALOSS_LAB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC 1000000000LL

enum sccp_id {
	SCCP_KEEPALIVE = 0x0000,
	SCCP_REGISTER = 0x0001,
	SCCP_REGISTER_ACK = 0x0081,
	SCCP_KEEPALIVE_ACK = 0x0100,
};

// Every SCCP message starts so, little-endian; length counts from id to the end.
struct sccp_hdr {
	uint32_t length;
	uint32_t version;
	uint32_t id;
} __attribute__((packed));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lab's tools are for little-endian");

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define __cleanup_fd __attribute__((cleanup(cleanup_fd)))
#define __cleanup_free __attribute__((cleanup(cleanup_free)))

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static inline struct timespec ns_to_timespec(int64_t ns)
{
	if (ns < 0)
		ns = 0;
	return (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

__attribute__((format(printf, 1, 2))) static inline void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static inline int64_t parse_number(const char *option, const char *text, int64_t min, int64_t max)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 0);
	if (errno || end == text || *end || v < min || v > max)
		usage_error("--%s %s: want a number from %lld to %lld", option, text,
			    (long long)min, (long long)max);
	return v;
}

// Turns a numeric IPv4 or IPv6 address into a socket address.
static inline socklen_t parse_address(const char *option, const char *text, uint16_t port,
				      struct sockaddr_storage *ss)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		return sizeof(*in4);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return sizeof(*in6);
	}
	usage_error("--%s %s: not an IPv4 or IPv6 address", option, text);
}

// Room for an address without its port.
#define ADDRESS_TEXT INET6_ADDRSTRLEN

// An end of a connection as text; an IPv4 address mapped into IPv6 is written as IPv4.
static inline uint16_t address_text(const struct sockaddr_storage *ss, char text[ADDRESS_TEXT])
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in4->sin_addr, text, ADDRESS_TEXT);
		return ntohs(in4->sin_port);
	}
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, text, ADDRESS_TEXT);
	return ntohs(in6->sin6_port);
}

// The time of day as kaloss writes it: RFC 3339, UTC, with microseconds.
static inline void time_text(char *text, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, size - n, ".%06ldZ", ts.tv_nsec / 1000);
}

// Set by SIGTERM and SIGINT.
static volatile sig_atomic_t stop;

static inline void on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

// Both signals are blocked from now on, and only let through where `unblocked` is waited with.
static inline void catch_stop(sigset_t *unblocked)
{
	struct sigaction sa = { .sa_handler = on_stop };
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, unblocked);
	sigdelset(unblocked, SIGTERM);
	sigdelset(unblocked, SIGINT);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

static inline void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

#endif
