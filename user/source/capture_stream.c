// SPDX-License-Identifier: GPL-2.0-only
#include "source/capture_stream.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "util/cleanup.h"

enum {
	INPUT_BYTES = 64 * 1024,
	GZIP_WINDOW = 15 + 16, /* the largest window, and a gzip header */
	/* What is left of the window, and behind it what is read next. */
	BUFFER_BYTES = KL_STREAM_WINDOW_BYTES + KL_BLOCKS_AHEAD_BYTES,
};

struct kl_stream {
	int fd;
	struct stat st;
	bool is_packed;
	bool in_member; /* of gzip: its end has not come yet */
	bool at_end;	/* of the input */
	bool has_zlib;
	z_stream z;
	uint8_t *input; /* what was read to look at it, and all that is packed */
	size_t input_at;
	size_t input_len;
	char *buffer; /* the FILE's; then the window's */
	struct kl_window window;
	const char *handed_at; /* to the FILE, the last time */
	size_t handed;
	uint8_t magic[sizeof(uint32_t)];
	uint64_t out_bytes; /* handed to the FILE */
	uint64_t file_bytes;
	uint64_t *read_bytes;
	int error;
	char text[128];
	struct kl_blocks blocks;
};

void kl_stream_close(struct kl_stream *s)
{
	if (!s)
		return;
	if (s->has_zlib)
		inflateEnd(&s->z);
	if (s->fd > STDIN_FILENO)
		close(s->fd);
	kl_blocks_free(&s->blocks);
	free(s->input);
	free(s->buffer);
	free(s);
}

static void kl_stream_closep(struct kl_stream **s)
{
	kl_stream_close(*s);
}

/* What a stream says once, it says from then on. */
static ssize_t fail_again(const struct kl_stream *s)
{
	errno = s->error == -EPIPE ? EIO : -s->error;
	return -1;
}

static ssize_t fail(struct kl_stream *s, int error, const char *text)
{
	s->error = error;
	snprintf(s->text, sizeof(s->text), "%s", text);
	return fail_again(s);
}

static ssize_t read_some(struct kl_stream *s, void *to, size_t bytes)
{
	char text[128];
	ssize_t n;

	do {
		n = read(s->fd, to, bytes);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		int error = -errno;

		return fail(s, error, strerror_r(errno, text, sizeof(text)));
	}
	s->file_bytes += (uint64_t)n;
	__atomic_fetch_add(s->read_bytes, (uint64_t)n, __ATOMIC_RELAXED);
	return n;
}

/* Fills an empty input; false where nothing came. */
static bool refill(struct kl_stream *s)
{
	ssize_t n = read_some(s, s->input, INPUT_BYTES);

	s->input_at = 0;
	s->input_len = n > 0 ? (size_t)n : 0;
	s->at_end = n == 0;
	return n > 0;
}

static ssize_t read_plain(struct kl_stream *s, char *to, size_t bytes)
{
	size_t n = s->input_len - s->input_at;

	if (!n)
		return read_some(s, to, bytes);
	if (n > bytes)
		n = bytes;
	memcpy(to, s->input + s->input_at, n);
	s->input_at += n;
	return (ssize_t)n;
}

/* One member of a gzip file may follow another; anything else behind one is not looked at. */
static bool next_member(struct kl_stream *s)
{
	if (s->input_at == s->input_len && !refill(s))
		return false;
	if (s->input[s->input_at] != 0x1f) {
		s->at_end = true;
		s->input_at = s->input_len;
		return false;
	}
	s->in_member = inflateReset(&s->z) == Z_OK;
	return s->in_member;
}

static ssize_t read_packed(struct kl_stream *s, char *to, size_t bytes)
{
	int r;

	s->z.next_out = (Bytef *)to;
	s->z.avail_out = (uInt)bytes;
	while (s->z.avail_out == bytes && !s->error) {
		if (!s->in_member && !next_member(s))
			break;
		if (s->input_at == s->input_len && !refill(s))
			break;
		s->z.next_in = s->input + s->input_at;
		s->z.avail_in = (uInt)(s->input_len - s->input_at);
		r = inflate(&s->z, Z_NO_FLUSH);
		s->input_at = s->input_len - s->z.avail_in;
		if (r == Z_STREAM_END)
			s->in_member = false;
		else if (r == Z_MEM_ERROR)
			return fail(s, -ENOMEM, "out of memory");
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return fail(s, -EBADMSG, "the gzip data are damaged");
	}
	if (s->z.avail_out == bytes && s->error)
		return -1;
	if (s->z.avail_out == bytes && s->in_member)
		return fail(s, -EPIPE, "the gzip data end early");
	return (ssize_t)(bytes - s->z.avail_out);
}

static ssize_t cookie_read(void *cookie, char *to, size_t bytes)
{
	struct kl_stream *s = cookie;
	ssize_t n;

	if (s->error)
		return fail_again(s);
	if (bytes > KL_BLOCKS_AHEAD_BYTES)
		bytes = KL_BLOCKS_AHEAD_BYTES;
	n = s->is_packed ? read_packed(s, to, bytes) : read_plain(s, to, bytes);
	if (n <= 0)
		return n;
	for (ssize_t i = 0; i < n && s->out_bytes + (uint64_t)i < sizeof(s->magic); i++)
		s->magic[s->out_bytes + (uint64_t)i] = (uint8_t)to[i];
	s->out_bytes += (uint64_t)n;
	s->handed_at = to;
	s->handed = (size_t)n;
	kl_blocks_feed(&s->blocks, (uint8_t *)to, (size_t)n);
	return n;
}

/* Only what ftello() asks: where are we? */
static int cookie_seek(void *cookie, off64_t *offset, int whence)
{
	const struct kl_stream *s = cookie;

	if (whence != SEEK_CUR || *offset != 0) {
		errno = ESPIPE;
		return -1;
	}
	*offset = (off64_t)s->out_bytes;
	return 0;
}

/* Reads as much as tells what this is; a pipe may give it byte by byte. */
static int look(struct kl_stream *s)
{
	while (s->input_len < 2) {
		ssize_t n = read_some(s, s->input + s->input_len, INPUT_BYTES - s->input_len);

		if (n < 0)
			return s->error;
		if (n == 0)
			break;
		s->input_len += (size_t)n;
	}
	s->is_packed = s->input_len >= 2 && s->input[0] == 0x1f && s->input[1] == 0x8b;
	if (!s->is_packed)
		return 0;
	if (inflateInit2(&s->z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	s->has_zlib = s->in_member = true;
	return 0;
}

static int open_file(const char *path, struct kl_stream *s, struct kl_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;

	s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (s->fd < 0 || fstat(s->fd, &s->st))
		return kl_fail(err, -errno, "%s: %m", path);
	if (S_ISDIR(s->st.st_mode))
		return kl_fail(err, -EISDIR, "%s: is a directory", path);
	if (is_stdin && isatty(s->fd))
		return kl_fail(err, -EINVAL, "-: standard input is a terminal");
	if (is_stdin)
		s->st.st_mode = S_IFIFO; /* whatever it is, it cannot be opened once more */
	else
		posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int kl_stream_open(const char *path, uint64_t *read_bytes, struct kl_stream **ret, FILE **ret_file,
		   struct kl_error *err)
{
	const cookie_io_functions_t functions = { .read = cookie_read, .seek = cookie_seek };
	struct kl_stream *s __attribute__((cleanup(kl_stream_closep))) = calloc(1, sizeof(*s));
	FILE *file;
	int r;

	if (!s)
		return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	s->fd = -1;
	s->read_bytes = read_bytes;
	r = open_file(path, s, err);
	if (r)
		return r;
	s->input = calloc(1, INPUT_BYTES);
	s->buffer = malloc(BUFFER_BYTES);
	r = s->input && s->buffer ? look(s) : -ENOMEM;
	if (r)
		return kl_fail(err, r, "%s: %s", path, s->error ? s->text : "out of memory");
	file = fopencookie(s, "r", functions);
	if (!file)
		return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	setvbuf(file, s->buffer, _IOFBF, KL_BLOCKS_AHEAD_BYTES);
	/* One thread reads it: no lock for each of the two reads that a packet takes. */
	__fsetlocking(file, FSETLOCKING_BYCALLER);
	*ret_file = file;
	*ret = s;
	s = NULL;
	return 0;
}

uint32_t kl_stream_magic(const struct kl_stream *s)
{
	uint32_t magic = 0;

	if (s->out_bytes >= sizeof(magic))
		memcpy(&magic, s->magic, sizeof(magic));
	return magic;
}

struct kl_window *kl_stream_take_over(struct kl_stream *s, FILE *file)
{
	off_t at = ftello(file);
	uint64_t left = s->out_bytes - (uint64_t)at;

	/* What the FILE has not given yet is at the end of its buffer. */
	if (at < 0 || left > s->handed || s->handed_at != s->buffer)
		return NULL;
	s->window.end = (const uint8_t *)s->buffer + s->handed;
	s->window.at = s->window.end - left;
	return &s->window;
}

off_t kl_stream_used(const struct kl_stream *s)
{
	return (off_t)s->out_bytes - (s->window.end - s->window.at);
}

bool kl_stream_fill(struct kl_stream *s, size_t bytes)
{
	struct kl_window *w = &s->window;
	size_t left = (size_t)(w->end - w->at);

	if (left >= bytes)
		return true;
	memmove(s->buffer, w->at, left);
	w->at = (const uint8_t *)s->buffer;
	while (left < bytes) {
		ssize_t n = cookie_read(s, s->buffer + left, KL_BLOCKS_AHEAD_BYTES);

		if (n <= 0)
			break;
		left += (size_t)n;
	}
	w->end = w->at + left;
	return left >= bytes;
}

bool kl_stream_is_regular(const struct kl_stream *s)
{
	return S_ISREG(s->st.st_mode);
}

uint64_t kl_stream_size(const struct kl_stream *s)
{
	return S_ISREG(s->st.st_mode) ? (uint64_t)s->st.st_size : 0;
}

uint64_t kl_stream_file_bytes(const struct kl_stream *s)
{
	return s->file_bytes;
}

bool kl_stream_is_packed(const struct kl_stream *s)
{
	return s->is_packed;
}

bool kl_stream_peek(const struct kl_stream *s, uint64_t at, void *to, size_t bytes)
{
	ssize_t n;

	if (!S_ISREG(s->st.st_mode) || s->is_packed || at > INT64_MAX - bytes)
		return false;
	n = pread(s->fd, to, bytes, (off_t)at);
	return n >= 0 && (size_t)n == bytes;
}

dev_t kl_stream_device(const struct kl_stream *s)
{
	return s->st.st_dev;
}

ino_t kl_stream_inode(const struct kl_stream *s)
{
	return s->st.st_ino;
}

const struct kl_blocks *kl_stream_blocks(const struct kl_stream *s)
{
	return &s->blocks;
}

int kl_stream_error(const struct kl_stream *s)
{
	return s->error;
}

const char *kl_stream_error_text(const struct kl_stream *s)
{
	return s->text;
}
