// SPDX-License-Identifier: GPL-2.0-only
#include "core/switch_message.h"

#include <string.h>

#include "core/syslog_line.h"
#include "util/cleanup.h"

/* The words of a message, one after the other. */
struct words {
	const char *p, *end;
	const char *word;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The next word, without what punctuates it. */
static bool next_word(struct words *w)
{
	while (w->p < w->end && is_blank(*w->p))
		w->p++;
	w->word = w->p;
	while (w->p < w->end && !is_blank(*w->p))
		w->p++;
	w->len = (size_t)(w->p - w->word);
	while (w->len && strchr(".;:()[]", w->word[w->len - 1]))
		w->len--;
	while (w->len && strchr("([", *w->word)) {
		w->word++;
		w->len--;
	}
	return w->p > w->word || w->len;
}

static bool is_word(const struct words *w, const char *text)
{
	return w->len == strlen(text) && strncasecmp(w->word, text, w->len) == 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Twelve digits in groups. */
static size_t read_groups(const char *text, size_t len, char separator, size_t group,
			  uint8_t ret_mac[6])
{
	size_t at = 0;

	for (size_t digit = 0; digit < 12; digit++) {
		int v;

		if (digit && digit % group == 0 && (at == len || text[at++] != separator))
			return 0;
		v = at < len ? hex_value(text[at++]) : -1;
		if (v < 0)
			return 0;
		ret_mac[digit / 2] = (uint8_t)(digit % 2 ? ret_mac[digit / 2] | v : v << 4);
	}
	return at < len && hex_value(text[at]) >= 0 ? 0 : at;
}

size_t kl_read_mac(const char *text, size_t len, uint8_t ret_mac[6])
{
	uint8_t mac[6] = {};
	size_t n = read_groups(text, len, '.', 4, mac);

	if (!n)
		n = read_groups(text, len, ':', 2, mac);
	if (!n)
		n = read_groups(text, len, '-', 2, mac);
	if (n)
		memcpy(ret_mac, mac, sizeof(mac));
	return n;
}

/* "FastEthernet0/14" as "Fa0/14": a port is told in both ways. */
static void set_port(char ret[KL_PORT_NAME], const struct words *w)
{
	static const struct {
		const char *name, *brief;
	} kinds[] = {
		{ "HundredGigE", "Hu" },	 { "FortyGigabitEthernet", "Fo" },
		{ "TwentyFiveGigE", "Twe" },	 { "TenGigabitEthernet", "Te" },
		{ "FiveGigabitEthernet", "Fi" }, { "TwoGigabitEthernet", "Tw" },
		{ "GigabitEthernet", "Gi" },	 { "FastEthernet", "Fa" },
		{ "Ethernet", "Eth" },		 { "Port-channel", "Po" },
	};
	const char *from = w->word, *brief = "";
	size_t len = w->len, brief_len;

	for (size_t i = 0; i < KL_COUNT(kinds); i++) {
		size_t n = strlen(kinds[i].name);

		if (len > n && strncasecmp(from, kinds[i].name, n) == 0) {
			brief = kinds[i].brief;
			from += n;
			len -= n;
			break;
		}
	}
	brief_len = strlen(brief);
	if (len > KL_PORT_NAME - 1 - brief_len)
		len = KL_PORT_NAME - 1 - brief_len;
	memcpy(ret, brief, brief_len);
	memcpy(ret + brief_len, from, len);
	ret[brief_len + len] = '\0';
}

/* "20", "VLAN0020" */
static void set_vlan(struct kl_mac_evidence *ret, const struct words *w)
{
	size_t i = w->len > 4 && strncasecmp(w->word, "vlan", 4) == 0 ? 4 : 0;
	unsigned int vlan = 0;

	for (; i < w->len && w->word[i] >= '0' && w->word[i] <= '9' && vlan < 4096; i++)
		vlan = vlan * 10 + (unsigned int)(w->word[i] - '0');
	if (i == w->len && vlan < 4096)
		ret->vlan = (uint16_t)vlan;
}

/* The port that stands here, with or without that word. */
static void take_port(struct words *w, char ret[KL_PORT_NAME])
{
	if (next_word(w) && (!is_word(w, "port") || next_word(w)))
		set_port(ret, w);
}

/* What stands behind words: "in vlan 1", "on port Gi0/1", "from Eth1/15 to Eth9/8". */
static void read_words(struct words w, struct kl_mac_evidence *ret, const char *port_after,
		       const char *from_after)
{
	while (next_word(&w)) {
		if (!ret->has_mac && w.len && kl_read_mac(w.word, w.len, ret->mac) == w.len)
			ret->has_mac = true;
		else if ((is_word(&w, "vlan") && next_word(&w)) ||
			 (w.len > 4 && strncasecmp(w.word, "vlan", 4) == 0))
			set_vlan(ret, &w);
		else if (from_after && !ret->from_port[0] && is_word(&w, from_after))
			take_port(&w, ret->from_port);
		else if (port_after && !ret->port[0] && is_word(&w, port_after))
			take_port(&w, ret->port);
	}
}

static bool has_name(const char *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

/* Of names that begin alike: L2FM_MAC_MOVE, L2FM_MAC_MOVE2; PSECURE_VIOLATION, …_VLAN. */
static bool begins(const char *name, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(name, with, strlen(with)) == 0;
}

static bool holds(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what)) != NULL;
}

bool kl_switch_message_read(const char *text, size_t len, struct kl_mac_evidence *ret)
{
	size_t n;
	const char *name = kl_syslog_mnemonic(text, len, &n);
	struct words w;
	size_t facility;

	*ret = (struct kl_mac_evidence){ .source = KL_MAC_FROM_SYSLOG };
	if (!name)
		return false;
	w = (struct words){ .p = name + n + 1, .end = text + len };
	facility = (size_t)(name - text);

	if (has_name(name, n, "MACFLAP_NOTIF")) {
		ret->happening = KL_MAC_MOVED;
		read_words(w, ret, "and", "between");
		return ret->has_mac;
	}
	if (begins(name, n, "L2FM_MAC_MOVE") ||
	    (begins(text, facility, "MAC_MOVE") && has_name(name, n, "NOTIF"))) {
		bool is_flap = holds(w.p, (size_t)(w.end - w.p), "between");

		ret->happening = KL_MAC_MOVED;
		read_words(w, ret, is_flap ? "and" : "to", is_flap ? "between" : "from");
		return ret->has_mac;
	}
	if (begins(name, n, "PSECURE_VIOLATION")) {
		ret->happening = KL_MAC_VIOLATION;
		read_words(w, ret, "port", NULL);
		return true;
	}
	if (has_name(name, n, "ERR_DISABLE") && begins(text, facility, "PM-") &&
	    holds(w.p, (size_t)(w.end - w.p), "psecure-violation")) {
		ret->happening = KL_MAC_VIOLATION;
		read_words(w, ret, "on", NULL);
		return true;
	}
	if ((begins(text, facility, "SPANTREE-") || begins(text, facility, "STP-")) &&
	    (has_name(name, n, "TOPOTRAP") || has_name(name, n, "ROOTCHANGE") ||
	     begins(name, n, "TOPOLOGY_CHANGE") || has_name(name, n, "TC_RECEIVED"))) {
		ret->happening = KL_MAC_TOPOLOGY_CHANGE;
		read_words(w, ret, NULL, NULL);
		/* The new root's address is no host's; it concerns the whole table. */
		ret->has_mac = false;
		memset(ret->mac, 0, sizeof(ret->mac));
		return true;
	}
	return false;
}
