// SPDX-License-Identifier: GPL-2.0-only
#include "core/cucm_trace_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <kaloss/classify.h>

#include "core/message.h"

enum {
	STAMP_WITHIN = 64, /* columns; what collects traces may put names before them */
};

/* ---- Time ---- */

/* The digits at `at` as a number; -1: there are not as many. */
static int digits(const char *at, int count)
{
	int n = 0;

	for (int i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		n = n * 10 + (at[i] - '0');
	}
	return n;
}

/* Days since 1970, of the Gregorian calendar. Of what is no date: -1. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	if (year < 1990 || year > 2099 || month < 1 || month > 12 || day < 1 || day > 31)
		return -1;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* hh:mm:ss. and three digits at least; a date MM/DD/YYYY may stand before it. */
static bool looks_like_time(const char *at)
{
	static const char form[] = "dd:dd:dd.ddd";

	for (int i = 0; form[i]; i++) {
		if (form[i] == 'd' ? at[i] < '0' || at[i] > '9' : at[i] != form[i])
			return false;
	}
	return true;
}

static uint64_t date_before(const char *line, const char *at)
{
	int64_t days;

	if (at - line < 11 || at[-1] != ' ' || at[-9] != '/' || at[-6] != '/')
		return 0;
	days = days_of(digits(at - 5, 4), digits(at - 11, 2), digits(at - 8, 2));
	return days < 0 ? 0 : (uint64_t)days * 86400;
}

enum kl_trace_read kl_trace_read_stamp(const char *line, struct kl_trace_stamp *ret)
{
	for (const char *at = line; *at && at - line < STAMP_WITHIN; at++) {
		int hours, minutes, seconds;
		const char *behind;

		if (*at < '0' || *at > '9' ||
		    (at > line && at[-1] != '|' && at[-1] != ' ' && at[-1] != '\t') ||
		    !looks_like_time(at))
			continue;
		behind = at + 12;
		while (*behind >= '0' && *behind <= '9')
			behind++;
		behind += strspn(behind, " ");
		if (!strncmp(behind, "CCM", 3))
			behind += 3;
		if (*behind != '|')
			continue;
		hours = digits(at, 2);
		minutes = digits(at + 3, 2);
		seconds = digits(at + 6, 2);
		if (hours > 23 || minutes > 59 || seconds > 60)
			return KL_TRACE_ODD;
		ret->tod_ns = ((uint64_t)(hours * 3600 + minutes * 60 + seconds) * 1000 +
			       (uint64_t)digits(at + 9, 3)) *
			      KL_NS_PER_MS;
		ret->day_s = date_before(line, at);
		ret->text = behind + 1;
		return KL_TRACE_GOT;
	}
	return KL_TRACE_NOTHING;
}

/* ---- Who ---- */

static void take_address(const char *at, size_t len, struct kl_address *ret)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t word[4] = { 0 };

	if (!len || len >= sizeof(text))
		return;
	memcpy(text, at, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, word) == 1)
		*ret = kl_address_of(4, word);
	else if (inet_pton(AF_INET6, text, word) == 1)
		*ret = kl_address_of(6, word);
}

static void take_device(const char *at, size_t len, char ret[KL_DEVICE_NAME])
{
	if (!len || len >= KL_DEVICE_NAME)
		return;
	memcpy(ret, at, len);
	ret[len] = '\0';
}

/* The value behind "Name=" as far as a comma, a space or a bar. */
static const char *value_of(const char *text, const char *name, size_t *ret_len)
{
	const char *at = strcasestr(text, name);

	if (!at)
		return NULL;
	at += strlen(name);
	*ret_len = strcspn(at, ", |;\t");
	return at;
}

/* Numbers of connections are written with and without zeros before them. */
static void take_handle(const char *at, size_t len, const char *prefix, struct kl_trace_peer *ret)
{
	while (len > 1 && *at == '0') {
		at++;
		len--;
	}
	if (!len || len + strlen(prefix) >= sizeof(ret->handle))
		return;
	snprintf(ret->handle, sizeof(ret->handle), "%s%.*s", prefix, (int)len, at);
	for (char *c = ret->handle; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

static uint16_t port_of(const char *at)
{
	unsigned long port;

	if (*at < '0' || *at > '9')
		return 0;
	port = strtoul(at, NULL, 10);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* SCCP: "tcpHandle=0x4fbbc30", "DeviceName=…, IPAddr=…, Port=…". */
static void read_names(const char *text, struct kl_trace_peer *ret)
{
	size_t len;
	const char *at = value_of(text, "tcpHandle=", &len);

	if (at) {
		bool hex = len > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X');

		len = strspn(at + 2 * hex, "0123456789abcdefABCDEF");
		take_handle(at + 2 * hex, len, "0x", ret);
	}
	at = value_of(text, "DeviceName=", &len);
	if (at)
		take_device(at, len, ret->device);
	at = value_of(text, "IPAddr=", &len);
	if (at)
		take_address(at, len, &ret->address);
	at = value_of(text, " Port=", &len);
	if (at)
		ret->port = port_of(at);
}

/* ---- SIP lines ---- */

/* "… message from 10.65.40.61 on port 57378 index …", or "… from 10.65.40.61:[57378]:". */
static enum kl_trace_read read_sip_line(const char *text, struct kl_trace_saying *ret)
{
	const char *at = strstr(text, "Incoming SIP "), *who;
	bool in = at != NULL;
	size_t len;

	if (!at)
		at = strstr(text, "Outgoing SIP ");
	if (!at)
		return KL_TRACE_NOTHING;
	if (!strncmp(at + 13, "UDP", 3) || !strstr(at, "message"))
		return KL_TRACE_NOTHING;
	who = strstr(at, in ? " from " : " to ");
	if (!who)
		return KL_TRACE_ODD;
	who += in ? 6 : 4;
	len = strcspn(who, " ");
	at = strstr(who, " on port ");
	if (at) {
		ret->peer.port = port_of(at + 9);
	} else {
		at = strstr(who, ":[");
		if (at) {
			len = (size_t)(at - who);
			ret->peer.port = port_of(at + 2);
		}
	}
	take_address(who, len, &ret->peer.address);
	if (!ret->peer.address.family || !ret->peer.port)
		return KL_TRACE_ODD;
	ret->direction = in ? KL_TO_CUCM : KL_TO_PHONE;
	ret->sip_follows = true;
	return KL_TRACE_GOT;
}

/* ---- SCCP lines ---- */

/* Is there the name of this message, and not one that only begins like it? */
static bool names_message(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strcasestr(text, name); at; at = strcasestr(at + 1, name)) {
		const char *end = at + len;

		if (!strncasecmp(end, "Message", 7))
			end += 7;
		if (!strncasecmp(end, "ID", 2))
			end += 2;
		if (!isalnum((unsigned char)*end))
			return true;
	}
	return false;
}

/* (SIPStationD is another's.) */
static const char *find_word(const char *text, const char *word)
{
	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		if (at == text || !isalnum((unsigned char)at[-1]))
			return at;
	}
	return NULL;
}

/* "StationD(1,100,64,5195) |StationInit(1,100,63,1) |1,100,14,5210.26^10.1.2.3^SEP…": who that is. */
static enum kl_trace_read read_signal(const char *text, struct kl_trace_saying *ret)
{
	const char *at = find_word(text, "StationD("), *end;

	if (!at || !find_word(text, "StationInit("))
		return KL_TRACE_NOTHING;
	end = strchr(at, ')');
	at = end;
	while (at && at[-1] >= '0' && at[-1] <= '9')
		at--;
	if (!at || at == end)
		return KL_TRACE_NOTHING;
	take_handle(at, (size_t)(end - at), "", &ret->peer);
	at = strchr(end, '^');
	end = at ? strchr(at + 1, '^') : NULL;
	if (!end)
		return KL_TRACE_NOTHING;
	take_address(at + 1, (size_t)(end - at - 1), &ret->peer.address);
	if (end[1] != '*')
		take_device(end + 1, strcspn(end + 1, " |^"), ret->peer.device);
	return ret->peer.handle[0] && ret->peer.address.family ? KL_TRACE_GOT : KL_TRACE_NOTHING;
}

static enum kl_trace_read read_sccp_line(const char *text, struct kl_trace_saying *ret)
{
	const char *init = find_word(text, "StationInit"), *out = find_word(text, "StationD"), *at;
	bool in = init && (!out || init < out);

	if (!init && !out)
		return KL_TRACE_NOTHING;
	if (strstr(text, "SdlSig"))
		return read_signal(text, ret);
	at = in ? init + 11 : out + 8;
	ret->direction = in ? KL_TO_CUCM : KL_TO_PHONE;
	if (*at == ':') {
		at += 1 + strspn(at + 1, " ");
		if (*at == '(')
			take_handle(at + 1, strspn(at + 1, "0123456789"), "", &ret->peer);
	}
	if (!ret->peer.handle[0])
		read_names(at, &ret->peer);
	if (in && names_message(at, "KeepAlive"))
		ret->kind = KL_SCCP_KEEPALIVE;
	else if (!in && names_message(at, "KeepAliveAck"))
		ret->kind = KL_SCCP_KEEPALIVE_ACK;
	return ret->kind != KL_OTHER || ret->peer.handle[0] ? KL_TRACE_GOT : KL_TRACE_NOTHING;
}

enum kl_trace_read kl_trace_read_line(const char *text, struct kl_trace_saying *ret)
{
	enum kl_trace_read r;

	memset(ret, 0, sizeof(*ret));
	ret->kind = KL_OTHER;
	r = read_sip_line(text, ret);
	return r != KL_TRACE_NOTHING ? r : read_sccp_line(text, ret);
}

/* ---- SIP messages ---- */

/* The value of a header; its end is that of its line. */
static const char *header(const char *message, const char *end, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	for (const char *line = message; line < end;) {
		const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

		if (!stop)
			break;
		if ((size_t)(stop - line) > n && !strncasecmp(line, name, n)) {
			const char *at = line + n;

			while (at < stop && (*at == ' ' || *at == '\t'))
				at++;
			if (*at == ':') {
				at++;
				while (at < stop && (*at == ' ' || *at == '\t'))
					at++;
				*ret_len = (size_t)(stop - at);
				return at;
			}
		}
		line = stop + 2;
	}
	return NULL;
}

/* "Thu, 18 May 2017 09:17:25 GMT" → seconds since 1970; 0: it is none. */
static uint32_t read_date(const char *at, size_t len)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *month;
	char text[32];
	int64_t days;
	int time_s;

	if (len < 25 || len >= sizeof(text))
		return 0;
	memcpy(text, at, len);
	text[len] = '\0';
	/* Thu, 18 May 2017 09:17:25 */
	if (text[3] != ',' || text[19] != ':' || text[22] != ':')
		return 0;
	if (digits(text + 17, 2) < 0 || digits(text + 20, 2) < 0 || digits(text + 23, 2) < 0)
		return 0;
	time_s = digits(text + 17, 2) * 3600 + digits(text + 20, 2) * 60 + digits(text + 23, 2);
	text[11] = '\0';
	month = strstr(months, text + 8);
	if (!month || strlen(text + 8) != 3 || (month - months) % 3)
		return 0;
	days = days_of(digits(text + 12, 4), (int)(month - months) / 3 + 1, digits(text + 5, 2));
	return days < 0 || time_s > 86400 ? 0 : (uint32_t)(days * 86400 + time_s);
}

static uint64_t hash_text(uint64_t h, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = kl_mix(h, (unsigned char)text[i]);
	return h;
}

/* By the same rules as for a segment that carries it. */
static uint8_t kind_of(const char *message, size_t len)
{
	uint8_t head[KL_HEAD_BYTES] = { 0 }, window[KL_WINDOW_MASK + 1] = { 0 };
	uint32_t head_len = len < sizeof(head) ? (uint32_t)len : sizeof(head);
	uint32_t window_len = len < KL_WINDOW_BYTES ? (uint32_t)len : KL_WINDOW_BYTES;
	struct kl_head_result result;
	uint32_t kind;

	memcpy(head, message, head_len);
	memcpy(window, message, window_len);
	if (kl_classify_head(KL_SIP, head, head_len, (uint32_t)len, &result) == KL_HEAD_DECIDED)
		kind = result.kind;
	else
		kind = kl_classify_window(result.scan, result.kind, window, window_len) &
		       KL_KIND_MASK;
	if (kind == KL_SIP_REGISTER || kind == KL_SIP_REGISTER_BACKUP || kind == KL_SIP_OPTIONS ||
	    kind == KL_SIP_RESPONSE)
		return (uint8_t)kind;
	return KL_OTHER;
}

bool kl_trace_read_sip(const char *message, size_t len, struct kl_trace_sip *ret)
{
	const char *end = message + len, *line_end, *at;
	struct kl_message read;
	size_t value_len;

	memset(ret, 0, sizeof(*ret));
	line_end = memmem(message, len, "\r\n", 2);
	if (!line_end || !memmem(message, (size_t)(line_end - message), "SIP/2.0", 7))
		return false;
	ret->kind = kind_of(message, len);
	kl_read_message((const uint8_t *)message, len, &read);
	memcpy(ret->device, read.device, sizeof(ret->device));
	at = header(message, end, "Date", &value_len);
	if (at)
		ret->date_s = read_date(at, value_len);
	ret->identity = hash_text(ret->kind, message, (size_t)(line_end - message));
	at = header(message, end, "Call-ID", &value_len);
	if (!at)
		at = header(message, end, "i", &value_len);
	if (at)
		ret->identity = hash_text(ret->identity, at, value_len);
	at = header(message, end, "CSeq", &value_len);
	if (at)
		ret->identity = hash_text(ret->identity, at, value_len);
	else
		ret->identity = 0;
	return true;
}
