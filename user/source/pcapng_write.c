// SPDX-License-Identifier: GPL-2.0-only
/* Format: draft-ietf-opsawg-pcapng. In the byte order of the host, as the format wants it. */
#include "source/pcapng_write.h"

#include <errno.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_ENHANCED_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	AROUND = 12, /* type, length, and the length again */

	OPTION_COMMENT = 1,
	OPTION_SHB_APPLICATION = 4,
	OPTION_IF_NAME = 2,
	OPTION_IF_DESCRIPTION = 3,
	OPTION_IF_TSRESOL = 9,
	OPTION_HEAD = 4, /* as long as the mark of their end */

	TEXT_MAX = 4096,
};

struct option {
	uint16_t code;
	const char *value; /* NULL: left out */
	uint16_t len;
};

static struct option text(uint16_t code, const char *value)
{
	size_t len = value ? strnlen(value, TEXT_MAX) : 0;

	return (struct option){ code, len ? value : NULL, (uint16_t)len };
}

static uint32_t padded(uint32_t len)
{
	return (len + 3) & ~3U;
}

static uint32_t options_len(const struct option *options, size_t count)
{
	uint32_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += options[i].value ? OPTION_HEAD + padded(options[i].len) : 0;
	return len ? len + OPTION_HEAD : 0;
}

static void put(struct kl_pcapng *w, const void *data, uint32_t len)
{
	fwrite(data, 1, len, w->out);
	fwrite("\0\0\0", 1, padded(len) - len, w->out);
}

static void put_options(struct kl_pcapng *w, const struct option *options, size_t count)
{
	static const uint16_t end[2];

	for (size_t i = 0; i < count; i++) {
		const uint16_t head[2] = { options[i].code, options[i].len };

		if (!options[i].value)
			continue;
		put(w, head, sizeof(head));
		put(w, options[i].value, options[i].len);
	}
	if (options_len(options, count))
		put(w, end, sizeof(end));
}

struct block {
	uint32_t type;
	const void *head; /* what stands there before anything else */
	uint32_t head_len;
	const void *data; /* NULL: nothing */
	uint32_t data_len;
	const struct option *options;
	size_t option_count;
};

static int put_block(struct kl_pcapng *w, const struct block *b)
{
	uint32_t len = AROUND + b->head_len + padded(b->data_len) +
		       options_len(b->options, b->option_count);
	const uint32_t start[2] = { b->type, len };

	errno = 0;
	put(w, start, sizeof(start));
	put(w, b->head, b->head_len);
	if (b->data)
		put(w, b->data, b->data_len);
	put_options(w, b->options, b->option_count);
	put(w, &len, sizeof(len));
	return ferror(w->out) ? -(errno ?: EIO) : 0;
}

int kl_pcapng_start(struct kl_pcapng *w, FILE *out, const char *application, const char *comment)
{
	/* Byte order, version 1.0, and a length that is not known. */
	const uint32_t head[4] = { BYTE_ORDER_MAGIC, 1, UINT32_MAX, UINT32_MAX };
	const struct option options[] = {
		text(OPTION_COMMENT, comment),
		text(OPTION_SHB_APPLICATION, application),
	};

	*w = (struct kl_pcapng){ .out = out };
	return put_block(w, &(struct block){ .type = BLOCK_SECTION,
					     .head = head,
					     .head_len = sizeof(head),
					     .options = options,
					     .option_count = 2 });
}

int kl_pcapng_interface(struct kl_pcapng *w, uint16_t link, const char *name,
			const char *description, uint32_t *ret_number)
{
	const uint32_t head[2] = { link, 0 };
	const struct option options[] = {
		text(OPTION_IF_NAME, name),
		text(OPTION_IF_DESCRIPTION, description),
		{ OPTION_IF_TSRESOL, "\x09", 1 },
	};

	*ret_number = w->interfaces++;
	return put_block(w, &(struct block){ .type = BLOCK_INTERFACE,
					     .head = head,
					     .head_len = sizeof(head),
					     .options = options,
					     .option_count = 3 });
}

int kl_pcapng_packet(struct kl_pcapng *w, const struct kl_pcapng_packet *p)
{
	const uint32_t head[5] = { p->interface, (uint32_t)(p->time_ns >> 32), (uint32_t)p->time_ns,
				   p->captured, p->len };
	const struct option comment = text(OPTION_COMMENT, p->comment);

	return put_block(w, &(struct block){ .type = BLOCK_ENHANCED_PACKET,
					     .head = head,
					     .head_len = sizeof(head),
					     .data = p->data,
					     .data_len = p->captured,
					     .options = &comment,
					     .option_count = 1 });
}
