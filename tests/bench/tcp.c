// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp send ADDRESS PORT SECONDS: connects and writes as much as goes in that time.
 * tcp take PORT: accepts one connection, reads it to its end, and prints the rate in Gbit/s, from the
 * first byte to the last.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 18];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char *what)
{
	perror(what);
	return 2;
}

static int take(const char *port)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_port = htons((in_port_t)atoi(port)) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, fd;
	double start = 0, end = 0, bytes = 0;
	ssize_t n;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&own, sizeof(own)) || listen(listener, 1))
		return fail(port);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return fail("accept");
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		end = now();
		if (!start)
			start = end;
		else
			bytes += (double)n;
	}
	if (end <= start)
		return fail("nothing came");
	printf("%.4f\n", bytes * 8 / (end - start) / 1e9);
	return 0;
}

static int give(const char *address, const char *port, const char *length)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double end = now() + strtod(length, NULL);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fail(address);
	while (now() < end) {
		if (write(fd, buffer, sizeof(buffer)) < 0)
			return fail("write");
	}
	return close(fd) ? fail("close") : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "take"))
		return take(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "send"))
		return give(argv[2], argv[3], argv[4]);
	fputs("usage: tcp send ADDRESS PORT SECONDS | tcp take PORT\n", stderr);
	return 2;
}
