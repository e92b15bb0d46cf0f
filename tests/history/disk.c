// SPDX-License-Identifier: GPL-2.0-only
#include "disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SECTOR = 512,
	FDS = 256,
	NAMES = 8,
	VERSIONS = 64, /* of a name, between two looks at the directory */
};

struct change {
	bool is_size;
	size_t offset, len; /* a size: offset alone */
	uint8_t *data;
};

struct file {
	uint8_t *data; /* on the disk */
	size_t size;
	struct change *change; /* since then */
	size_t changes, room;
	bool is_mapped; /* is changed in ways that are not seen here */
};

struct name {
	char text[64];
	struct file *at[VERSIONS]; /* the first one is on the disk; NULL: not there */
	int versions;
};

static struct disk disk;
static bool on;
static uint64_t calls;
static struct name name[NAMES];
static int names;
static struct file *open_file[FDS], directory;

static void broken(const char *why)
{
	fprintf(stderr, "disk: %s\n", why);
	_exit(2);
}

static void *must(void *p)
{
	if (!p)
		broken("no memory");
	return p;
}

/* ---- What is there for certain, and what is not ---- */

static size_t end_of(const struct change *c, size_t size)
{
	if (c->is_size)
		return c->offset;
	return c->offset + c->len > size ? c->offset + c->len : size;
}

static void add_change(struct file *f, const struct change *c)
{
	if (f->changes == f->room) {
		f->room = f->room ? 2 * f->room : 64;
		f->change = must(realloc(f->change, f->room * sizeof(*f->change)));
	}
	f->change[f->changes++] = *c;
}

static void resize(struct file *f, size_t size)
{
	f->data = must(realloc(f->data, size + SECTOR));
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
}

static void forget_changes(struct file *f)
{
	for (size_t i = 0; i < f->changes; i++)
		free(f->change[i].data);
	f->changes = 0;
}

static void settle_file(struct file *f)
{
	for (size_t i = 0; i < f->changes; i++) {
		const struct change *c = &f->change[i];

		if (c->is_size || end_of(c, f->size) > f->size)
			resize(f, end_of(c, f->size));
		if (!c->is_size)
			memcpy(f->data + c->offset, c->data, c->len);
	}
	forget_changes(f);
}

static void settle_names(void)
{
	for (int i = 0; i < names; i++) {
		name[i].at[0] = name[i].at[name[i].versions - 1];
		name[i].versions = 1;
	}
}

/* ---- What is left ---- */

static size_t up_to(size_t most)
{
	return (size_t)random() % (most + 1);
}

enum fate {
	FATE_NOTHING, /* of what was not certain */
	FATE_ALL,
	FATE_IN_ORDER, /* up to some change */
	FATE_ANY,      /* each sector by itself */
	FATES,
};

static size_t fate_of(enum fate fate, const struct file *f, size_t in_order)
{
	switch (fate) {
	case FATE_NOTHING:
		return 0;
	case FATE_ALL:
		return f->changes;
	case FATE_IN_ORDER:
		return in_order;
	default:
		return up_to(f->changes);
	}
}

/* The part of a change that falls into a sector; of the one that was under way, its beginning. */
static void apply(uint8_t *data, size_t sector, const struct change *c, bool whole)
{
	size_t from = sector * SECTOR, to = from + SECTOR;

	if (c->is_size) {
		if (whole && c->offset < to)
			memset(data + (c->offset > from ? c->offset : from), 0,
			       to - (c->offset > from ? c->offset : from));
		return;
	}
	from = c->offset > from ? c->offset : from;
	to = c->offset + c->len < to ? c->offset + c->len : to;
	if (from >= to)
		return;
	memcpy(data + from, c->data + (from - c->offset), whole ? to - from : up_to(to - from));
}

static void tear(struct file *f)
{
	enum fate fate = (enum fate)up_to(FATES - 1);
	size_t in_order = up_to(f->changes), size = f->size, most = f->size, sectors, sized;
	bool rubbish = up_to(3) == 0, torn = up_to(1);

	sized = fate_of(fate, f, in_order);
	for (size_t i = 0, end = f->size; i < f->changes; i++) {
		end = end_of(&f->change[i], end);
		most = end > most ? end : most;
		size = i < sized ? end : size;
	}
	sectors = (most + SECTOR - 1) / SECTOR;
	f->data = must(realloc(f->data, (sectors + 1) * SECTOR));
	for (size_t i = f->size; i < sectors * SECTOR; i++)
		f->data[i] = rubbish ? (uint8_t)random() : 0;
	for (size_t s = 0; s < sectors; s++) {
		size_t n = fate_of(fate, f, in_order);

		for (size_t i = 0; i < n; i++)
			apply(f->data, s, &f->change[i], true);
		if (n < f->changes && torn)
			apply(f->data, s, &f->change[n], false);
	}
	f->size = size;
}

/* Shared memory of a file: nobody ever wrote it to the disk, but it may be there. */
static void tear_mapped(struct file *f, const char *text)
{
	int fd = openat(AT_FDCWD, text, O_RDONLY | O_CLOEXEC);
	size_t size = up_to(3) * 16384;

	resize(f, 0);
	resize(f, size);
	if (fd >= 0) {
		ssize_t n = pread(fd, f->data, size, 0);

		f->size = n > 0 ? (size_t)n : 0;
		close(fd);
	}
	for (size_t i = 0; i < f->size && up_to(1); i += SECTOR)
		f->data[i + up_to(SECTOR - 1)] = (uint8_t)random();
}

static void path_of(char *ret, size_t size, const char *in, const char *text)
{
	if (snprintf(ret, size, "%s/%s", in, text) >= (int)size)
		broken("a long path");
}

static void write_image(void)
{
	char path[300];

	for (int i = 0; i < names; i++) {
		struct file *f = name[i].at[up_to((size_t)name[i].versions - 1)];
		FILE *out;

		path_of(path, sizeof(path), disk.image, name[i].text);
		unlink(path);
		if (!f)
			continue;
		if (f->is_mapped) {
			char mapped[300];

			path_of(mapped, sizeof(mapped), disk.directory, name[i].text);
			tear_mapped(f, mapped);
		} else {
			tear(f);
			forget_changes(f);
		}
		out = fopen(path, "we");
		if (!out || fwrite(f->data, 1, f->size, out) != f->size || fclose(out))
			broken("the image");
	}
}

void disk_cut(void)
{
	on = false;
	srandom(disk.seed);
	write_image();
	disk.ends();
	_exit(2);
}

void disk_cut_in(uint64_t later)
{
	disk.power = calls + later;
}

uint64_t disk_calls(void)
{
	return calls;
}

static void step(void)
{
	if (++calls == disk.power)
		disk_cut();
}

/* ---- Names ---- */

/* The part of a path in the directory; NULL: it is elsewhere. */
static const char *inside(const char *path)
{
	size_t len;

	if (!on || !path)
		return NULL;
	len = strlen(disk.directory);
	return strncmp(path, disk.directory, len) || path[len] != '/' ? NULL : path + len + 1;
}

static struct name *find_name(const char *text)
{
	for (int i = 0; i < names; i++) {
		if (!strcmp(name[i].text, text))
			return &name[i];
	}
	if (names == NAMES || strlen(text) >= sizeof(name[0].text))
		broken("a name too many");
	name[names].versions = 1;
	strcpy(name[names].text, text);
	return &name[names++];
}

static struct file *there(const struct name *n)
{
	return n->at[n->versions - 1];
}

static void change_name(struct name *n, struct file *f)
{
	if (n->versions == VERSIONS)
		broken("a name changes too often");
	n->at[n->versions++] = f;
}

static struct file *new_file(const char *text)
{
	struct file *f = must(calloc(1, sizeof(*f)));
	const char *end = strrchr(text, '-');

	f->is_mapped = end && !strcmp(end, "-shm");
	return f;
}

static void load(const char *text)
{
	struct file *f = new_file(text);
	char path[300];
	struct stat st;
	int fd;

	path_of(path, sizeof(path), disk.directory, text);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		broken("what is there");
	resize(f, (size_t)st.st_size);
	if (pread(fd, f->data, f->size, 0) != (ssize_t)f->size)
		broken("what is there");
	close(fd);
	find_name(text)->at[0] = f;
}

void disk_begin(const struct disk *d)
{
	struct dirent *entry;
	DIR *dir = opendir(d->directory);

	disk = *d;
	if (!dir)
		broken("no directory");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			load(entry->d_name);
	}
	closedir(dir);
	on = true;
}

/* ---- The calls ---- */

static struct file *of(int fd)
{
	return on && fd >= 0 && fd < FDS ? open_file[fd] : NULL;
}

static int open_it(const char *path, int flags, int mode)
{
	const char *text = inside(path);
	struct name *n = NULL;
	int fd;

	if (text) {
		n = find_name(text);
		if (flags & O_TRUNC)
			broken("O_TRUNC");
		if (!there(n) && flags & O_CREAT) {
			step();
			change_name(n, new_file(text));
		}
	}
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd < 0 || fd >= FDS || !on)
		return fd;
	if (n)
		open_file[fd] = there(n);
	else
		open_file[fd] = strcmp(path, disk.directory) ? NULL : &directory;
	return fd;
}

#define OPEN(function)                                                                             \
	int function(const char *path, int flags, ...)                                             \
	{                                                                                          \
		va_list args;                                                                      \
		int mode;                                                                          \
                                                                                                   \
		va_start(args, flags);                                                             \
		mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;                    \
		va_end(args);                                                                      \
		return open_it(path, flags, mode);                                                 \
	}
OPEN(open)
OPEN(open64)

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		open_file[fd] = NULL;
	return (int)syscall(SYS_close, fd);
}

static void note_write(struct file *f, const void *data, size_t len, off_t offset)
{
	struct change c = { .offset = (size_t)offset, .len = len };

	step();
	c.data = must(malloc(len));
	memcpy(c.data, data, len);
	add_change(f, &c);
}

ssize_t write(int fd, const void *data, size_t len)
{
	if (of(fd))
		note_write(of(fd), data, len, lseek(fd, 0, SEEK_CUR));
	return syscall(SYS_write, fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	if (of(fd))
		note_write(of(fd), data, len, offset);
	return syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return pwrite(fd, data, len, offset);
}

int ftruncate(int fd, off_t size)
{
	if (of(fd)) {
		const struct change c = { .is_size = true, .offset = (size_t)size };

		step();
		add_change(of(fd), &c);
	}
	return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

static int sync_it(int fd, long number)
{
	struct file *f = of(fd);

	/* (What it waits for is not asked of this machine's own disk.) */
	if (!f)
		return (int)syscall(number, fd);
	step();
	if (f == &directory && !disk.no_directory_sync)
		settle_names();
	else if (f != &directory && !disk.no_sync)
		settle_file(f);
	return 0;
}

int fsync(int fd)
{
	return sync_it(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return sync_it(fd, SYS_fdatasync);
}

int unlink(const char *path)
{
	const char *text = inside(path);

	if (text && there(find_name(text))) {
		step();
		change_name(find_name(text), NULL);
	}
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to)
{
	if (inside(from) || inside(to))
		broken("rename()");
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
