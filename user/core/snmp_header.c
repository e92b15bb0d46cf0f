// SPDX-License-Identifier: GPL-2.0-only
#include "core/snmp_header.h"

#include <errno.h>
#include <string.h>

enum {
	BER_INTEGER = 0x02,
	BER_OCTETS = 0x04,
	BER_SEQUENCE = 0x30,
	SECURITY_USM = 3,
};

struct reader {
	const uint8_t *message;
	size_t at, end;
};

/* Enters the next element: *ret holds its content, and r is behind it. */
static int element(struct reader *r, uint8_t tag, struct reader *ret)
{
	size_t length;

	if (r->end - r->at < 2 || r->message[r->at] != tag)
		return -EBADMSG;
	length = r->message[r->at + 1];
	r->at += 2;
	if (length & 0x80) {
		size_t octets = length & 0x7f;

		if (!octets || octets > 4 || r->end - r->at < octets)
			return -EBADMSG;
		length = 0;
		while (octets--)
			length = length << 8 | r->message[r->at++];
	}
	if (r->end - r->at < length)
		return -EBADMSG;
	*ret = (struct reader){ r->message, r->at, r->at + length };
	r->at += length;
	return 0;
}

static int integer(struct reader *r, int64_t *ret)
{
	struct reader content;
	int e = element(r, BER_INTEGER, &content);

	if (e)
		return e;
	if (content.at == content.end || content.end - content.at > 5)
		return -EBADMSG;
	*ret = r->message[content.at] & 0x80 ? -1 : 0;
	while (content.at < content.end)
		*ret = (int64_t)((uint64_t)*ret << 8 | r->message[content.at++]);
	return 0;
}

/* HeaderData: msgID, msgMaxSize, msgFlags, msgSecurityModel. */
static int header_data(struct reader *message, struct kl_snmp_header *ret)
{
	struct reader header, flags;
	int64_t id, size, model;

	if (element(message, BER_SEQUENCE, &header) || integer(&header, &id) ||
	    integer(&header, &size) || element(&header, BER_OCTETS, &flags) ||
	    integer(&header, &model))
		return -EBADMSG;
	if (flags.end - flags.at != 1 || model != SECURITY_USM)
		return -EBADMSG;
	ret->flags = message->message[flags.at];
	return 0;
}

/* UsmSecurityParameters, wrapped into an octet string. */
static int security(struct reader *message, struct kl_snmp_header *ret)
{
	struct reader wrapped, usm, engine, user, auth, priv;
	int64_t boots, time;
	size_t length;

	if (element(message, BER_OCTETS, &wrapped) || element(&wrapped, BER_SEQUENCE, &usm) ||
	    element(&usm, BER_OCTETS, &engine) || integer(&usm, &boots) || integer(&usm, &time) ||
	    element(&usm, BER_OCTETS, &user) || element(&usm, BER_OCTETS, &auth) ||
	    element(&usm, BER_OCTETS, &priv))
		return -EBADMSG;
	length = user.end - user.at;
	if (engine.end - engine.at > KL_SNMP_ENGINE_MAX || length > KL_SNMP_USER_MAX)
		return -EBADMSG;
	ret->engine = engine.at;
	ret->engine_len = engine.end - engine.at;
	for (size_t i = 0; i < length; i++) {
		uint8_t c = message->message[user.at + i];

		/* A name is shown to people and compared as a text. */
		ret->user[i] = (char)(c > ' ' && c <= '~' ? c : '?');
	}
	ret->auth = auth.at;
	ret->auth_len = auth.end - auth.at;
	return 0;
}

int kl_snmp_header_parse(const uint8_t *message, size_t length, struct kl_snmp_header *ret)
{
	struct reader all = { message, 0, length }, body;
	int64_t version;

	memset(ret, 0, sizeof(*ret));
	if (element(&all, BER_SEQUENCE, &body) || integer(&body, &version))
		return -EBADMSG;
	ret->version = (int)version;
	switch (version) {
	case KL_SNMP_V1:
	case KL_SNMP_V2C:
		return 0;
	case KL_SNMP_V3:
		if (header_data(&body, ret) || security(&body, ret))
			return -EBADMSG;
		return 0;
	default:
		return -EBADMSG;
	}
}
