// SPDX-License-Identifier: GPL-2.0-only
/*
 * fail.so: to be preloaded. From main() on, the n-th allocation, or the n-th call of the C library
 * that asks the system for something, fails, and all others succeed.
 *
 *   KALOSS_FAIL=memory:17 | system:17   0: none fails, they are only counted
 *   KALOSS_FAIL_COUNT=FILE              how many there were goes there, at the end; and what failed
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int RAND_bytes(unsigned char *data, int size);
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static bool active, memory;
static unsigned long fail_at, count;
static const char *failed = "nothing";

static bool fails(bool is_memory, const char *name)
{
	if (!active || memory != is_memory ||
	    __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) != fail_at)
		return false;
	failed = name;
	if (getenv("KALOSS_FAIL_STOP"))
		raise(SIGTRAP);
	return true;
}

/* ---- From main() on ---- */

/* What libnats does without memory is its own: it crashes, or waits for itself. */
static struct {
	const char *from, *to;
} libnats;

static int note_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (!strstr(info->dlpi_name, "/libnats.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const char *at = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			libnats.from = at;
			libnats.to = at + info->dlpi_phdr[i].p_memsz;
		}
	}
	return 1;
}

static int (*real_main)(int, char **, char **);

static void tell(void)
{
	const char *file = getenv("KALOSS_FAIL_COUNT");
	FILE *f;

	active = false;
	f = file ? fopen(file, "we") : NULL;
	if (!f)
		return;
	fprintf(f, "%lu %s\n", count, failed);
	fclose(f);
}

static int start(int argc, char **argv, char **env)
{
	const char *what = getenv("KALOSS_FAIL");
	const char *colon = what ? strchr(what, ':') : NULL;

	if (colon) {
		memory = !strncmp(what, "memory", 6);
		fail_at = strtoul(colon + 1, NULL, 10);
		atexit(tell);
		active = true;
	}
	return real_main(argc, argv, env);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	__typeof__(__libc_start_main) *real = dlsym(RTLD_NEXT, "__libc_start_main");

	real_main = main;
	dl_iterate_phdr(note_library, NULL);
	return real(start, argc, argv, init, fini, rtld_fini, stack_end);
}

/* OpenSSL makes thousands of allocations when libnats first asks it for something: they are its own. */
int RAND_bytes(unsigned char *data, int size)
{
	__typeof__(RAND_bytes) *real = dlsym(RTLD_NEXT, "RAND_bytes");
	bool before = active;
	int r;

	active = false;
	r = real ? real(data, size) : 0;
	active = before;
	return r;
}

/* ---- Memory ---- */

#define CALLER ((const char *)__builtin_return_address(0))
#define NO_MEMORY(name)                                                                            \
	if ((CALLER < libnats.from || CALLER >= libnats.to) && fails(true, name)) {                \
		errno = ENOMEM;                                                                    \
		return NULL;                                                                       \
	}

void *malloc(size_t size)
{
	NO_MEMORY("malloc")
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	NO_MEMORY("calloc")
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	NO_MEMORY("realloc")
	return __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;

	NO_MEMORY("reallocarray")
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(old, bytes);
}

static char *duplicate(const char *s, size_t len)
{
	char *copy = __libc_malloc(len + 1);

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = '\0';
	}
	return copy;
}

char *strdup(const char *s)
{
	NO_MEMORY("strdup")
	return duplicate(s, strlen(s));
}

char *strndup(const char *s, size_t max)
{
	NO_MEMORY("strndup")
	return duplicate(s, strnlen(s, max));
}

/* ---- The system ---- */

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
#define REFUSED(name, error, value)                                                                \
	if (fails(false, name)) {                                                                  \
		errno = error;                                                                     \
		return value;                                                                      \
	}

int socket(int domain, int type, int protocol)
{
	REFUSED("socket", EMFILE, -1)
	return REAL(socket)(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	REFUSED("bind", EACCES, -1)
	return REAL(bind)(fd, address, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	REFUSED("setsockopt", EPERM, -1)
	return REAL(setsockopt)(fd, level, name, value, len);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	       socklen_t len)
{
	REFUSED("sendto", ENOBUFS, -1)
	return REAL(sendto)(fd, data, size, flags, to, len);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	REFUSED("recv", ENOMEM, -1)
	return REAL(recv)(fd, data, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	REFUSED("recvmsg", ENOMEM, -1)
	return REAL(recvmsg)(fd, m, flags);
}

static int mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;
}

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list args;                                                                      \
		int mode;                                                                          \
                                                                                                   \
		va_start(args, flags);                                                             \
		mode = mode_of(flags, args);                                                       \
		va_end(args);                                                                      \
		REFUSED("open", EMFILE, -1)                                                        \
		return REAL(name)(path, flags, mode);                                              \
	}
OPEN(open)
OPEN(open64)

FILE *fopen(const char *path, const char *mode)
{
	REFUSED("fopen", EMFILE, NULL)
	return REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	REFUSED("fopen", EMFILE, NULL)
	return REAL(fopen64)(path, mode);
}

ssize_t read(int fd, void *data, size_t size)
{
	REFUSED("read", EIO, -1)
	return REAL(read)(fd, data, size);
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	REFUSED("mmap", ENOMEM, MAP_FAILED)
	return REAL(mmap)(address, len, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off64_t offset)
{
	REFUSED("mmap", ENOMEM, MAP_FAILED)
	return REAL(mmap64)(address, len, protection, flags, fd, offset);
}

int eventfd(unsigned value, int flags)
{
	REFUSED("eventfd", EMFILE, -1)
	return REAL(eventfd)(value, flags);
}

int epoll_create1(int flags)
{
	REFUSED("epoll_create1", EMFILE, -1)
	return REAL(epoll_create1)(flags);
}

int epoll_ctl(int fd, int op, int which, struct epoll_event *event)
{
	REFUSED("epoll_ctl", ENOSPC, -1)
	return REAL(epoll_ctl)(fd, op, which, event);
}

ssize_t getrandom(void *data, size_t size, unsigned flags)
{
	REFUSED("getrandom", EAGAIN, -1)
	return REAL(getrandom)(data, size, flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *arg)
{
	if (fails(false, "pthread_create"))
		return EAGAIN;
	return REAL(pthread_create)(thread, attributes, run, arg);
}

/* bpf() has no function of its own. */
long syscall(long number, ...)
{
	va_list args;
	long a[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_bpf && fails(false, "bpf")) {
		errno = EPERM;
		return -1;
	}
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
