// SPDX-License-Identifier: GPL-2.0-only
#include "source/snmp_users.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <net-snmp/library/large_fd_set.h>

#include "util/cleanup.h"

enum {
	USERS_MAX = 256,
	WORDS_MAX = 6,
	DATAGRAM_MAX = 65507,
	PASSWORD_MIN = 8, /* RFC 3414, 11.2 */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_engine(const char *text, struct kl_snmp_user *u)
{
	size_t digits = strlen(text);

	if (strncmp(text, "0x", 2) != 0 || digits % 2)
		return false;
	for (size_t i = 2; i < digits; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0 || u->engine_len == sizeof(u->engine))
			return false;
		u->engine[u->engine_len++] = (uint8_t)(high << 4 | low);
	}
	return u->engine_len >= KL_SNMP_ENGINE_MIN;
}

struct algorithm {
	const char *name;
	int type;
};

/* The library would take any beginning of a name for it: SHA3 for SHA384. */
static const struct algorithm auth_algorithms[] = {
	{ "MD5", USM_CREATE_USER_AUTH_MD5 },
	{ "SHA", USM_CREATE_USER_AUTH_SHA1 },
	{ "SHA-224", USM_CREATE_USER_AUTH_SHA224 },
	{ "SHA-256", USM_CREATE_USER_AUTH_SHA256 },
	{ "SHA-384", USM_CREATE_USER_AUTH_SHA384 },
	{ "SHA-512", USM_CREATE_USER_AUTH_SHA512 },
	{ 0 },
};

static const struct algorithm priv_algorithms[] = {
	{ "DES", USM_CREATE_USER_PRIV_DES },
	{ "AES", USM_CREATE_USER_PRIV_AES },
	{ "AES-192", USM_CREATE_USER_PRIV_AES192 },
	{ "AES-256", USM_CREATE_USER_PRIV_AES256 },
	{ "AES-192-C", USM_CREATE_USER_PRIV_AES192_CISCO },
	{ "AES-256-C", USM_CREATE_USER_PRIV_AES256_CISCO },
	{ 0 },
};

static int look_up(const struct algorithm *a, const char *name)
{
	while (a->name && strcasecmp(a->name, name) != 0)
		a++;
	return a->name ? a->type : -1;
}

/* Cuts a line into words in place. -E2BIG, -EINVAL (an open quote), or how many. */
static int split(char *line, char *words[WORDS_MAX])
{
	int count = 0;

	for (;;) {
		char end = ' ';

		while (isspace((unsigned char)*line))
			line++;
		if (!*line || *line == '#')
			return count;
		if (count == WORDS_MAX)
			return -E2BIG;
		if (*line == '"') {
			end = '"';
			line++;
		}
		words[count++] = line;
		while (*line && (end == '"' ? *line != '"' : !isspace((unsigned char)*line)))
			line++;
		if (!*line)
			return end == '"' ? -EINVAL : count;
		*line++ = '\0';
	}
}

static bool make_key(const struct kl_snmp_user *u, const char *password, uint8_t *key, size_t *len)
{
	return generate_Ku(u->auth, (u_int)u->auth_len, (const u_char *)password, strlen(password),
			   key, len) == SNMPERR_SUCCESS;
}

static const char *keep_community(struct kl_snmp_users *users, const char *text)
{
	if (users->community)
		return "a second community";
	users->community = strdup(text);
	return users->community ? NULL : "out of memory";
}

/* What is wrong with the line, or NULL. ret_empty: there is no user in it. */
static const char *parse_line(char *line, struct kl_snmp_users *users, struct kl_snmp_user *u,
			      bool *ret_empty)
{
	char *words[WORDS_MAX];
	int count = split(line, words), type;
	bool community = count == 2 && !strcmp(words[0], "community");

	*ret_empty = count == 0 || community;
	if (count == 0)
		return NULL;
	if (community)
		return keep_community(users, words[1]);
	if (count == -EINVAL)
		return "a quote is not closed";
	if (count < 3)
		return "it should read NAME AUTH-PROTOCOL AUTH-KEY [PRIV-PROTOCOL PRIV-KEY] "
		       "[0xENGINE-ID], or community TEXT";
	if (strlen(words[0]) > KL_SNMP_USER_MAX)
		return "the name is longer than 32 characters";
	strcpy(u->name, words[0]); // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
	if (count % 2 == 0 && !parse_engine(words[count - 1], u))
		return "the engine ID is not 0x and 10 to 64 hexadecimal digits";

	type = look_up(auth_algorithms, words[1]);
	if (type < 0)
		return "no such authentication: MD5, SHA, SHA-224, SHA-256, SHA-384 or SHA-512";
	u->auth = sc_get_auth_oid(type, &u->auth_len);
	if (strlen(words[2]) < PASSWORD_MIN)
		return "the authentication key is shorter than 8 characters";
	u->auth_key_len = sizeof(u->auth_key);
	if (!u->auth || !make_key(u, words[2], u->auth_key, &u->auth_key_len))
		return "this authentication is not in the SNMP library";

	u->has_priv = count >= 5;
	u->priv = sc_get_priv_oid(USM_CREATE_USER_PRIV_NONE, &u->priv_len);
	if (!u->has_priv)
		return NULL;
	type = look_up(priv_algorithms, words[3]);
	if (type < 0)
		return "no such privacy: DES, AES, AES-192, AES-256, AES-192-C or AES-256-C";
	u->priv = sc_get_priv_oid(type, &u->priv_len);
	if (strlen(words[4]) < PASSWORD_MIN)
		return "the privacy key is shorter than 8 characters";
	u->priv_key_len = sizeof(u->priv_key);
	if (!u->priv || !make_key(u, words[4], u->priv_key, &u->priv_key_len))
		return "this privacy is not in the SNMP library";
	return NULL;
}

static int check_private(int fd, const char *path, struct kl_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kl_fail(err, -EINVAL, "%s: not a file", path);
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return kl_fail(err, -EPERM,
			       "%s: others than its owner may read or change this file with keys "
			       "(chmod 600 "
			       "it)",
			       path);
	return 0;
}

static int open_private(const char *path, FILE **ret, struct kl_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	if (fd < 0)
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	r = check_private(fd, path, err);
	if (!r) {
		*ret = fdopen(fd, "r");
		if (*ret)
			return 0;
		r = kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	}
	close(fd);
	return r;
}

static void forget_users(struct kl_snmp_users *users)
{
	if (users->user)
		explicit_bzero(users->user, users->count * sizeof(*users->user));
	free(users->user);
	users->user = NULL;
	users->count = 0;
}

static int read_lines(FILE *file, const char *path, struct kl_snmp_users *users,
		      struct kl_error *err)
{
	char line[1024];
	int r = 0;

	for (unsigned number = 1; !r && fgets(line, sizeof(line), file); number++) {
		struct kl_snmp_user u = { 0 }, *more;
		const char *wrong;
		bool empty = false;

		if (strlen(line) == sizeof(line) - 1)
			wrong = "it is too long";
		else
			wrong = parse_line(line, users, &u, &empty);
		if (!wrong && !empty && users->count == USERS_MAX)
			wrong = "more than 256 users";
		if (wrong) {
			r = kl_fail(err, -EINVAL, "%s: line %u: %s", path, number, wrong);
		} else if (!empty) {
			more = calloc(users->count + 1, sizeof(*more));
			if (!more) {
				r = kl_fail(err, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
			} else {
				size_t before = users->count;

				if (before)
					memcpy(more, users->user, before * sizeof(*more));
				more[before] = u;
				forget_users(users);
				users->user = more;
				users->count = before + 1;
			}
		}
		explicit_bzero(&u, sizeof(u));
	}
	explicit_bzero(line, sizeof(line));
	return r;
}

int kl_snmp_users_read(const char *path, struct kl_snmp_users *ret, struct kl_error *err)
{
	_cleanup_fclose_ FILE *file = NULL;
	struct kl_snmp_users users = { 0 };
	int r = open_private(path, &file, err);

	if (r)
		return r;
	kl_snmp_library();
	/* No copy of it stays in the buffers of the C library. */
	setvbuf(file, NULL, _IONBF, 0);
	r = read_lines(file, path, &users, err);
	if (!r && !users.count && !users.community)
		r = kl_fail(err, -EINVAL, "%s: no user in it, and no community", path);
	if (r) {
		kl_snmp_users_done(&users);
		return r;
	}
	*ret = users;
	return 0;
}

void kl_snmp_users_done(struct kl_snmp_users *users)
{
	forget_users(users);
	if (users->community)
		explicit_bzero(users->community, strlen(users->community));
	free(users->community);
	users->community = NULL;
}

const struct kl_snmp_user *kl_snmp_users_find(const struct kl_snmp_users *users, const char *name,
					      const uint8_t *engine, size_t engine_len)
{
	const struct kl_snmp_user *found = NULL;

	for (size_t i = 0; i < users->count; i++) {
		const struct kl_snmp_user *u = &users->user[i];

		if (strcmp(u->name, name) != 0)
			continue;
		if (u->engine_len == engine_len && !memcmp(u->engine, engine, engine_len))
			return u;
		if (!u->engine_len && !found)
			found = u;
	}
	return found;
}

/* ---- the library ---- */

void kl_snmp_library(void)
{
	static bool done;
	netsnmp_session unused;

	if (done)
		return;
	done = true;
	/*
	 * Not init_snmp(): it looks for configuration and MIBs in /etc, /usr and the home directory,
	 * creates directories, and sets the locale.
	 */
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_ALARM_DONT_USE_SIG, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_NO_DISCOVERY, 1);
	netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_APPTYPE, "kaloss");
	snmp_disable_log();
	netsnmp_register_loghandler(NETSNMP_LOGHANDLER_NONE, LOG_DEBUG);
	snmp_sess_init(&unused);
	init_snmpv3("kaloss");
	setup_engineID(NULL, NULL);
	init_snmpv3_post_config(0, 0, NULL, NULL);
}

void kl_snmp_user_session(const struct kl_snmp_user *user, uint8_t *engine, size_t engine_len,
			  netsnmp_session *session)
{
	session->version = SNMP_VERSION_3;
	session->securityModel = SNMP_SEC_MODEL_USM;
	session->securityLevel = user->has_priv ? SNMP_SEC_LEVEL_AUTHPRIV
						: SNMP_SEC_LEVEL_AUTHNOPRIV;
	session->securityName = (char *)user->name;
	session->securityNameLen = strlen(user->name);
	session->securityEngineID = engine;
	session->securityEngineIDLen = engine_len;
	session->securityAuthProto = user->auth;
	session->securityAuthProtoLen = user->auth_len;
	memcpy(session->securityAuthKey, user->auth_key, user->auth_key_len);
	session->securityAuthKeyLen = user->auth_key_len;
	/* The library wants the protocol that is none, too. */
	session->securityPrivProto = user->priv;
	session->securityPrivProtoLen = user->priv_len;
	if (user->has_priv) {
		memcpy(session->securityPrivKey, user->priv_key, user->priv_key_len);
		session->securityPrivKeyLen = user->priv_key_len;
	}
}

struct usmUser *kl_snmp_usm_user(const struct kl_snmp_user *user, const uint8_t *engine,
				 size_t engine_len, bool *ret_made)
{
	struct usmUser *found = usm_get_user(engine, engine_len, user->name);
	uint8_t copy[KL_SNMP_ENGINE_MAX];
	netsnmp_session session;
	int r;

	*ret_made = false;
	if (found || engine_len > sizeof(copy))
		return found;
	memcpy(copy, engine, engine_len);
	snmp_sess_init(&session);
	kl_snmp_user_session(user, copy, engine_len, &session);
	r = usm_create_user_from_session(&session);
	explicit_bzero(&session, sizeof(session));
	if (r != SNMPERR_SUCCESS)
		return NULL;
	found = usm_get_user(engine, engine_len, user->name);
	*ret_made = found != NULL;
	return found;
}

void kl_snmp_usm_forget(struct usmUser *user)
{
	usm_remove_user(user);
	usm_free_user(user);
}

/* ---- sessions on a socket of ours ---- */

static int keep_socket(netsnmp_transport *t)
{
	/* The library would free what data points to. */
	t->data = NULL;
	t->sock = -1;
	return 0;
}

void *kl_snmp_session(netsnmp_session *session, int fd, void *arg, kl_snmp_receive receive,
		      kl_snmp_send send)
{
	netsnmp_transport *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->domain = netsnmpUDPDomain;
	t->domain_length = netsnmpUDPDomain_len;
	t->sock = fd;
	t->data = arg;
	t->msgMaxSize = DATAGRAM_MAX;
	t->f_recv = receive;
	t->f_send = send;
	t->f_close = keep_socket;
	return snmp_sess_add(session, t, NULL, NULL);
}

void kl_snmp_session_read(void *handle, int fd)
{
	netsnmp_large_fd_set set;

	netsnmp_large_fd_set_init(&set, fd + 1);
	netsnmp_large_fd_setfd(fd, &set);
	snmp_sess_read2(handle, &set);
	netsnmp_large_fd_set_cleanup(&set);
}

void kl_snmp_value(const netsnmp_variable_list *from, struct kl_varbind *to)
{
	to->type = KL_VARBIND_OTHER;
	switch (from->type) {
	case ASN_INTEGER:
		to->type = KL_VARBIND_INTEGER;
		to->integer = *from->val.integer;
		break;
	case ASN_GAUGE:
	case ASN_COUNTER:
	case ASN_TIMETICKS:
		to->type = KL_VARBIND_INTEGER;
		to->integer = (uint32_t)*from->val.integer;
		break;
	case ASN_OCTET_STR:
		to->type = KL_VARBIND_BYTES;
		to->bytes = from->val.string;
		to->length = from->val_len;
		break;
	default:
		break;
	}
}
