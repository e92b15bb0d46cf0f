// SPDX-License-Identifier: GPL-2.0-only
// The few SIP messages that keep a phone registered, of the sizes a Cisco phone's and call
// server's have: REGISTER 890 bytes, 100 Trying 325, 200 OK 637.
#ifndef KALOSS_LAB_SIP_H
#define KALOSS_LAB_SIP_H

#include "lab.h"

#define SIP_REGISTER_SIZE 890
#define SIP_TRYING_SIZE 325
#define SIP_OK_SIZE 637
#define SIP_MAX 1400

// What an answer repeats of its request.
struct sip_request {
	char via[200], from[120], to[120], call_id[120], cseq[40], contact[320];
	long expires;
	char device[17];
};

// The length of the first message, all of which must be there; 0 if it is not. There are no
// bodies.
static inline ssize_t sip_complete(const char *data, size_t len)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	return end ? end + 4 - data : 0;
}

// The value of a header into `out`; false if it is not there or too long.
static inline bool sip_header(const char *data, size_t len, const char *name, char *out,
			      size_t size)
{
	const char *at = data, *end = data + len;
	size_t name_len = strlen(name);

	while ((at = memmem(at, end - at, "\r\n", 2))) {
		const char *value, *stop_at;

		at += 2;
		if ((size_t)(end - at) <= name_len + 1 || strncasecmp(at, name, name_len) ||
		    at[name_len] != ':')
			continue;
		value = at + name_len + 1;
		while (value < end && *value == ' ')
			value++;
		stop_at = memmem(value, end - value, "\r\n", 2);
		if (!stop_at || (size_t)(stop_at - value) >= size)
			return false;
		memcpy(out, value, stop_at - value);
		out[stop_at - value] = 0;
		return true;
	}
	return false;
}

// What every request has.
static inline bool sip_parse_dialog(const char *data, size_t len, struct sip_request *r)
{
	memset(r, 0, sizeof(*r));
	return sip_header(data, len, "Via", r->via, sizeof(r->via)) &&
	       sip_header(data, len, "From", r->from, sizeof(r->from)) &&
	       sip_header(data, len, "To", r->to, sizeof(r->to)) &&
	       sip_header(data, len, "Call-ID", r->call_id, sizeof(r->call_id)) &&
	       sip_header(data, len, "CSeq", r->cseq, sizeof(r->cseq));
}

static inline bool sip_parse(const char *data, size_t len, struct sip_request *r)
{
	static const char device[] = "devicename.ccm.cisco.com=\"";
	char expires[20];
	const char *at;

	if (len < 9 || memcmp(data, "REGISTER ", 9) || !sip_parse_dialog(data, len, r) ||
	    !sip_header(data, len, "Contact", r->contact, sizeof(r->contact)) ||
	    !sip_header(data, len, "Expires", expires, sizeof(expires)))
		return false;
	r->expires = atol(expires);
	at = memmem(data, len, device, sizeof(device) - 1);
	for (size_t i = 0; at && i < sizeof(r->device) - 1; i++) {
		char ch = at[sizeof(device) - 1 + i];

		if (ch == '"')
			break;
		r->device[i] = ch;
	}
	return true;
}

// Ends a message with a header filled up so that the whole has the size a real one has; returns
// -1 if it is larger already.
static inline int sip_fill(char *out, int len, int size)
{
	static const char head[] = "Reason: SIP;cause=200;text=\"", tail[] = "\"\r\n\r\n";
	int fill = size - len - (int)(sizeof(head) - 1) - (int)(sizeof(tail) - 1);

	if (fill < 0)
		return -1;
	memcpy(out + len, head, sizeof(head) - 1);
	len += sizeof(head) - 1;
	memset(out + len, '-', fill);
	len += fill;
	memcpy(out + len, tail, sizeof(tail) - 1);
	return len + sizeof(tail) - 1;
}

// The same, but what is larger stays so.
static inline int sip_end(char *out, int len, int size)
{
	int filled = sip_fill(out, len, size);

	return filled < 0 ? len + sprintf(out + len, "\r\n") : filled;
}

// An answer; Expires is left out if it is negative.
static inline int sip_answer(char out[SIP_MAX], const struct sip_request *r, const char *status,
			     long expires)
{
	int len = sprintf(out,
			  "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"
			  "CSeq: %s\r\n",
			  status, r->via, r->from, r->to, r->call_id, r->cseq);

	if (expires >= 0)
		len += sprintf(out + len, "Expires: %ld\r\nContact: %s\r\n", expires, r->contact);
	len += sprintf(out + len, "Content-Length: 0\r\n");
	return sip_end(out, len, expires < 0 ? SIP_TRYING_SIZE : SIP_OK_SIZE);
}

#endif
