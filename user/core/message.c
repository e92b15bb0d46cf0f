// SPDX-License-Identifier: GPL-2.0-only
#include "core/message.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <kaloss/classify.h>

/* ---- Names ---- */

static bool is_name_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '-' || c == '_' || c == '.';
}

/* Takes the name that starts at text; what follows must end it. */
static void take_name(const uint8_t *text, size_t len, char ret[KL_DEVICE_NAME])
{
	size_t n = 0;

	while (n < len && is_name_char(text[n]))
		n++;
	if (!n || n >= KL_DEVICE_NAME)
		return;
	memcpy(ret, text, n);
	ret[n] = '\0';
}

static const uint8_t *find_text(const uint8_t *payload, size_t len, const char *text)
{
	return memmem(payload, len, text, strlen(text));
}

/* ---- SCCP ---- */

static void read_alarm(const uint8_t *body, size_t len, struct kl_message *ret)
{
	enum {
		TEXT_AT = 4
	}; /* behind the severity */
	const uint8_t *text = body + TEXT_AT, *at;
	size_t text_len, n = 0;

	ret->type = KL_MESSAGE_ALARM;
	if (len <= TEXT_AT)
		return;
	text_len = len - TEXT_AT;
	at = find_text(text, text_len, "Name=");
	if (at)
		take_name(at + 5, (size_t)(text + text_len - at - 5), ret->device);
	at = find_text(text, text_len, "Last=");
	if (!at)
		return;
	at += 5;
	while (at + n < text + text_len && n < KL_FAILURE_TEXT - 1 && isgraph(at[n]) &&
	       at[n] != '"')
		n++;
	memcpy(ret->failure, at, n);
	ret->failure[n] = '\0';
}

/* Returns whether the message was one that tells something. */
static bool read_sccp_message(uint32_t id, const uint8_t *body, size_t len, struct kl_message *ret)
{
	switch (id) {
	case KL_SCCP_ID_REGISTER:
		ret->type = KL_MESSAGE_REGISTER;
		take_name(body, len < 16 ? len : 16, ret->device);
		return true;
	case KL_SCCP_ID_REGISTER_ACK:
		ret->type = KL_MESSAGE_REGISTERED;
		if (len >= 4)
			ret->keepalive_s = kl_le32(body);
		/* An old form of 24 bytes in all has no second interval. */
		if (len >= 16)
			ret->secondary_keepalive_s = kl_le32(body + 12);
		return true;
	case KL_SCCP_ID_REGISTER_REJECT:
		ret->type = KL_MESSAGE_REJECTED;
		return true;
	case KL_SCCP_ID_UNREGISTER:
		ret->type = KL_MESSAGE_UNREGISTER;
		return true;
	case KL_SCCP_ID_RESET:
		ret->type = KL_MESSAGE_RESET;
		return true;
	case KL_SCCP_ID_ALARM:
		read_alarm(body, len, ret);
		return true;
	default:
		return false;
	}
}

static void read_sccp(const uint8_t *payload, size_t len, struct kl_message *ret)
{
	size_t off = 0;

	while (off + KL_SCCP_HEADER <= len) {
		const uint8_t *p = payload + off;
		size_t size, left = len - off - KL_SCCP_HEADER;

		if (!kl_sccp_header_plausible(p))
			return;
		size = (size_t)kl_le32(p) - 4; /* of the body */
		if (read_sccp_message(kl_le32(p + 8), p + KL_SCCP_HEADER, size < left ? size : left,
				      ret))
			return;
		off += KL_SCCP_HEADER + size;
	}
}

/* ---- SIP ---- */

/* The header's value on this line, if it is the one that is asked for; else NULL. */
static const char *header_value(const char *line, const char *end, const char *name)
{
	size_t n = strlen(name);

	if ((size_t)(end - line) <= n || strncasecmp(line, name, n))
		return NULL;
	line += n;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if (line == end || *line != ':')
		return NULL;
	line++;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line;
}

static bool read_number(const char *at, const char *end, uint32_t *ret)
{
	uint64_t n = 0;
	const char *start = at;

	while (at < end && isdigit((unsigned char)*at) && n <= UINT32_MAX / 10)
		n = n * 10 + (uint64_t)(*at++ - '0');
	if (at == start || n > UINT32_MAX || (at < end && isdigit((unsigned char)*at)))
		return false;
	*ret = (uint32_t)n;
	return true;
}

static void read_contact(const char *at, const char *end, struct kl_message *ret)
{
	static const char param[] = ";expires=";
	const char *found = memmem(at, (size_t)(end - at), param, sizeof(param) - 1);

	if (found && !ret->has_expires)
		ret->has_expires = read_number(found + sizeof(param) - 1, end, &ret->expires_s);
}

static void read_header(const char *line, const char *end, struct kl_message *ret)
{
	const char *value = header_value(line, end, "expires");

	if (value) {
		ret->has_expires = read_number(value, end, &ret->expires_s);
		return;
	}
	value = header_value(line, end, "cseq");
	if (value) {
		read_number(value, end, &ret->cseq);
		return;
	}
	value = header_value(line, end, "contact");
	if (!value)
		value = header_value(line, end, "m");
	if (value)
		read_contact(value, end, ret);
}

static void read_sip(const char *text, size_t len, struct kl_message *ret)
{
	static const char key[] = "devicename.ccm.cisco.com=\"";
	const char *end = text + len, *line = text;
	const uint8_t *name = find_text((const uint8_t *)text, len, key);

	if (name)
		name += sizeof(key) - 1;
	/* What goes on in the next segment is not taken for the whole. */
	if (name && memchr(name, '"', (size_t)((const uint8_t *)end - name)))
		take_name(name, (size_t)((const uint8_t *)end - name), ret->device);
	ret->is_backup = find_text((const uint8_t *)text, len, "cisco-keep-alive");
	while (line < end && (*line == '\r' || *line == '\n'))
		line++;
	if (end - line >= 9 && !memcmp(line, "REGISTER ", 9))
		ret->type = KL_MESSAGE_REGISTER;
	else if (end - line >= 9 && !memcmp(line, "SIP/2.0 2", 9))
		ret->type = KL_MESSAGE_REGISTERED;
	else
		return;
	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *stripped;

		if (!stop)
			break;
		stripped = stop > line && stop[-1] == '\r' ? stop - 1 : stop;
		if (stripped == line)
			break; /* the end of the headers */
		read_header(line, stripped, ret);
		line = stop + 1;
	}
	if (ret->type == KL_MESSAGE_REGISTER && ret->has_expires && !ret->expires_s &&
	    !ret->is_backup)
		ret->type = KL_MESSAGE_UNREGISTER;
}

void kl_read_message(const uint8_t *payload, size_t len, struct kl_message *ret)
{
	*ret = (struct kl_message){ .type = KL_MESSAGE_OTHER };
	if (len >= KL_SCCP_HEADER && kl_sccp_header_plausible(payload))
		read_sccp(payload, len, ret);
	else
		read_sip((const char *)payload, len, ret);
}
