// SPDX-License-Identifier: GPL-2.0-only
#include "history/schema.h"

#include <sqlite3.h>
#include <stdio.h>

/* Each makes its version of the one before; what was released is never changed. */
static const char *const steps[KL_HISTORY_VERSION] = {
	/* 1 */
	"CREATE TABLE run ("
	" id INTEGER PRIMARY KEY, version TEXT, host TEXT, access TEXT, cucm TEXT,"
	" start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
	" has_bridge INTEGER, has_snmp INTEGER, has_syslog INTEGER, has_arp INTEGER,"
	" has_drops INTEGER, has_alarms INTEGER);"
	"CREATE TABLE session ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL, family INTEGER NOT NULL,"
	" phone_ip TEXT NOT NULL, phone_port INTEGER NOT NULL,"
	" cucm_ip TEXT NOT NULL, cucm_port INTEGER NOT NULL,"
	" device TEXT, mac TEXT, next_mac TEXT, vlan INTEGER, role TEXT NOT NULL,"
	" kind TEXT NOT NULL, period_us INTEGER, jitter_us INTEGER, expires_s INTEGER,"
	" start_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, registered_ns INTEGER,"
	" closed_ns INTEGER, from_syn INTEGER NOT NULL, one_way INTEGER NOT NULL,"
	" leaves INTEGER NOT NULL, probable INTEGER NOT NULL, last_failure TEXT);"
	"CREATE INDEX session_seen ON session (seen_ns);"
	"CREATE TABLE loss ("
	" id INTEGER PRIMARY KEY, session INTEGER NOT NULL, told_ns INTEGER NOT NULL,"
	" time_ns INTEGER NOT NULL, direction TEXT NOT NULL, place TEXT NOT NULL,"
	" kind TEXT NOT NULL, seq INTEGER NOT NULL, seq_other INTEGER NOT NULL,"
	" length INTEGER NOT NULL, vlan INTEGER, copies_access INTEGER NOT NULL,"
	" copies_cucm INTEGER NOT NULL, late_ns INTEGER, idle_ns INTEGER,"
	" idle_known INTEGER NOT NULL, probable INTEGER NOT NULL, evidence TEXT,"
	" drop_ns INTEGER, drop_seq INTEGER, drop_length INTEGER, drop_reason TEXT,"
	" drop_symbol TEXT, drop_interface TEXT);"
	"CREATE INDEX loss_told ON loss (told_ns);"
	"CREATE TABLE retransmission ("
	" id INTEGER PRIMARY KEY, session INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" direction TEXT NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL,"
	" length INTEGER NOT NULL, gap_ns INTEGER, rto_ns INTEGER, copy INTEGER NOT NULL,"
	" inferred INTEGER NOT NULL, remark TEXT);"
	"CREATE INDEX retransmission_time ON retransmission (time_ns);"
	"CREATE TABLE session_event ("
	" id INTEGER PRIMARY KEY, session INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" event TEXT NOT NULL, by TEXT NOT NULL, how TEXT, leaves INTEGER NOT NULL,"
	" ttl INTEGER, usual_ttl INTEGER, first_side TEXT NOT NULL, period_us INTEGER);"
	"CREATE INDEX session_event_time ON session_event (time_ns);"
	"CREATE TABLE forecast ("
	" id INTEGER PRIMARY KEY, session INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" state TEXT NOT NULL, unregisters_ns INTEGER, because TEXT);"
	"CREATE INDEX forecast_time ON forecast (time_ns);"
	"CREATE TABLE mac ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" earliest_ns INTEGER, event TEXT NOT NULL, source TEXT NOT NULL, mac TEXT,"
	" vlan INTEGER, silent_ms INTEGER, port TEXT, from_port TEXT, told_by TEXT);"
	"CREATE INDEX mac_time ON mac (time_ns);"
	"CREATE TABLE ageing ("
	" run INTEGER NOT NULL, source TEXT NOT NULL, told_by TEXT NOT NULL, port TEXT NOT NULL,"
	" port_security INTEGER NOT NULL, absolute INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" ageing_ms INTEGER NOT NULL, PRIMARY KEY (run, source, told_by, port, port_security));"
	"CREATE TABLE arp ("
	" run INTEGER NOT NULL, ip TEXT NOT NULL, first_ns INTEGER NOT NULL,"
	" time_ns INTEGER NOT NULL, requests INTEGER NOT NULL, first INTEGER NOT NULL,"
	" claims TEXT NOT NULL, PRIMARY KEY (run, ip));"
	"CREATE TABLE alarm ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL, session INTEGER, time_ns INTEGER NOT NULL,"
	" type INTEGER NOT NULL, name TEXT, device TEXT, ip TEXT, reason INTEGER,"
	" reason_name TEXT, protocol TEXT, node TEXT, last_signal TEXT,"
	" matched_loss INTEGER NOT NULL, losses INTEGER NOT NULL);"
	"CREATE INDEX alarm_time ON alarm (time_ns);"
	"CREATE TABLE minute ("
	" start_ns INTEGER NOT NULL, run INTEGER NOT NULL, until_ns INTEGER NOT NULL,"
	" phones INTEGER NOT NULL, segments_to_cucm INTEGER NOT NULL,"
	" segments_to_phone INTEGER NOT NULL, mac_flushes INTEGER,"
	" lost_phone_side_to_cucm INTEGER NOT NULL, lost_phone_side_to_phone INTEGER NOT NULL,"
	" lost_cucm_side_to_cucm INTEGER NOT NULL, lost_cucm_side_to_phone INTEGER NOT NULL,"
	" lost_unknown_to_cucm INTEGER NOT NULL, lost_unknown_to_phone INTEGER NOT NULL,"
	" retransmitted_unseen_to_cucm INTEGER NOT NULL,"
	" retransmitted_unseen_to_phone INTEGER NOT NULL,"
	" transit_max_ns INTEGER NOT NULL, answer_max_ns INTEGER NOT NULL, transit BLOB, answer "
	"BLOB,"
	" PRIMARY KEY (start_ns, run));"
	"CREATE TABLE minute_count ("
	" start_ns INTEGER NOT NULL, run INTEGER NOT NULL, direction TEXT NOT NULL,"
	" kind TEXT NOT NULL, sent INTEGER NOT NULL, delivered INTEGER NOT NULL,"
	" lost_between INTEGER NOT NULL, retransmitted INTEGER NOT NULL,"
	" duplicates INTEGER NOT NULL, pending_before INTEGER NOT NULL,"
	" PRIMARY KEY (start_ns, run, direction, kind)) WITHOUT ROWID;"
	"CREATE TABLE minute_integrity ("
	" start_ns INTEGER NOT NULL, run INTEGER NOT NULL, what TEXT NOT NULL,"
	" count INTEGER NOT NULL, PRIMARY KEY (start_ns, run, what)) WITHOUT ROWID;"
	"CREATE TABLE part ("
	" start_ns INTEGER NOT NULL, run INTEGER NOT NULL, until_ns INTEGER NOT NULL,"
	" copies_level INTEGER NOT NULL, copies_unlisted INTEGER NOT NULL, sessions BLOB,"
	" PRIMARY KEY (start_ns, run));"
	"CREATE TABLE copies ("
	" start_ns INTEGER NOT NULL, run INTEGER NOT NULL, level INTEGER NOT NULL,"
	" count INTEGER NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (start_ns, run, level));"
	"CREATE TABLE gap ("
	" run INTEGER NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL,"
	" reason TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (run, from_ns));"
	"CREATE TABLE remark ("
	" run INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (run, text));",
	/* 2: what the kernel dropped and no loss tells of, and the rules that may have done it */
	"CREATE TABLE dropped ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
	" family INTEGER NOT NULL, phone_ip TEXT NOT NULL, phone_port INTEGER NOT NULL,"
	" cucm_ip TEXT NOT NULL, cucm_port INTEGER NOT NULL, direction TEXT NOT NULL,"
	" seq INTEGER NOT NULL, length INTEGER NOT NULL, reason TEXT, symbol TEXT,"
	" interface TEXT);"
	"CREATE INDEX dropped_time ON dropped (time_ns);"
	"CREATE TABLE rule ("
	" run INTEGER NOT NULL, time_ns INTEGER NOT NULL, rule TEXT NOT NULL, says TEXT,"
	" packets INTEGER NOT NULL, counted INTEGER NOT NULL, PRIMARY KEY (time_ns, run, rule));",
	/* 3: what a joiner found of many sites */
	"ALTER TABLE run ADD COLUMN joiner TEXT;"
	"ALTER TABLE session ADD COLUMN site TEXT;"
	"ALTER TABLE loss ADD COLUMN record TEXT;"
	"CREATE UNIQUE INDEX loss_record ON loss (record) WHERE record IS NOT NULL;"
	"CREATE TABLE agent_gap ("
	" site TEXT NOT NULL, agent TEXT NOT NULL, from_ns INTEGER NOT NULL,"
	" to_ns INTEGER NOT NULL, run INTEGER NOT NULL, told_ns INTEGER NOT NULL,"
	" side TEXT NOT NULL, why TEXT, PRIMARY KEY (site, agent, from_ns, to_ns)) WITHOUT ROWID;"
	"CREATE INDEX agent_gap_told ON agent_gap (told_ns);",
};

static const char *const inserts[KL_ROWS] = {
	[KL_ROW_RUN] = "INSERT INTO run (id, version, host, access, cucm, start_ns, end_ns,"
		       " joiner) VALUES (?,?,?,?,?,?,?,?)",
	[KL_ROW_RUN_END] =
		"UPDATE run SET end_ns = ?2, ended = ?3, has_bridge = ?4, has_snmp = ?5,"
		" has_syslog = ?6, has_arp = ?7, has_drops = ?8, has_alarms = ?9 WHERE id = ?1",
	[KL_ROW_SESSION] =
		"INSERT INTO session (id, run, family, phone_ip, phone_port, cucm_ip, cucm_port,"
		" device, mac, next_mac, vlan, role, kind, period_us, jitter_us, expires_s,"
		" start_ns, seen_ns, registered_ns, closed_ns, from_syn, one_way, leaves, probable,"
		" last_failure, site)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
		" ON CONFLICT (id) DO UPDATE SET device = excluded.device, mac = excluded.mac,"
		" next_mac = excluded.next_mac, vlan = excluded.vlan, role = excluded.role,"
		" kind = excluded.kind, period_us = excluded.period_us,"
		" jitter_us = excluded.jitter_us, expires_s = excluded.expires_s,"
		" seen_ns = excluded.seen_ns, registered_ns = excluded.registered_ns,"
		" closed_ns = excluded.closed_ns, one_way = excluded.one_way,"
		" leaves = excluded.leaves, probable = excluded.probable,"
		" last_failure = excluded.last_failure",
	[KL_ROW_LOSS] =
		"INSERT INTO loss (session, told_ns, time_ns, direction, place, kind, seq,"
		" seq_other, length, vlan, copies_access, copies_cucm, late_ns, idle_ns,"
		" idle_known, probable, evidence, drop_ns, drop_seq, drop_length, drop_reason,"
		" drop_symbol, drop_interface, record)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
		/* (Who takes over tells again what may have been told.) */
		" ON CONFLICT (record) WHERE record IS NOT NULL DO NOTHING",
	[KL_ROW_RETRANSMISSION] =
		"INSERT INTO retransmission (session, time_ns, direction, kind, seq, length,"
		" gap_ns, rto_ns, copy, inferred, remark) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_SESSION_EVENT] =
		"INSERT INTO session_event (session, time_ns, event, by, how, leaves, ttl,"
		" usual_ttl, first_side, period_us) VALUES (?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_FORECAST] = "INSERT INTO forecast (session, time_ns, state, unregisters_ns,"
			    " because) VALUES (?,?,?,?,?)",
	[KL_ROW_MAC] = "INSERT INTO mac (run, time_ns, earliest_ns, event, source, mac, vlan,"
		       " silent_ms, port, from_port, told_by) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_AGEING] =
		"INSERT OR REPLACE INTO ageing (run, source, told_by, port, port_security,"
		" absolute, time_ns, ageing_ms)"
		" VALUES (?1,?2,coalesce(?3,''),coalesce(?4,''),?5,?6,?7,?8)",
	[KL_ROW_ARP] = "INSERT OR REPLACE INTO arp (run, ip, first_ns, time_ns, requests, first,"
		       " claims) VALUES (?,?,?,?,?,?,?)",
	[KL_ROW_ALARM] = "INSERT INTO alarm (run, session, time_ns, type, name, device, ip, reason,"
			 " reason_name, protocol, node, last_signal, matched_loss, losses)"
			 " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_DROPPED] =
		"INSERT INTO dropped (run, time_ns, family, phone_ip, phone_port, cucm_ip,"
		" cucm_port, direction, seq, length, reason, symbol, interface)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_RULE] = "INSERT INTO rule (run, time_ns, rule, says, packets, counted)"
			" VALUES (?,?,?,?,?,?) ON CONFLICT (time_ns, run, rule) DO UPDATE SET"
			" packets = packets + excluded.packets",
	[KL_ROW_MINUTE] =
		"INSERT OR REPLACE INTO minute (start_ns, run, until_ns, phones, segments_to_cucm,"
		" segments_to_phone, mac_flushes, lost_phone_side_to_cucm,"
		" lost_phone_side_to_phone, lost_cucm_side_to_cucm, lost_cucm_side_to_phone,"
		" lost_unknown_to_cucm, lost_unknown_to_phone, retransmitted_unseen_to_cucm,"
		" retransmitted_unseen_to_phone, transit_max_ns, answer_max_ns, transit, answer)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_MINUTE_COUNT] =
		"INSERT OR REPLACE INTO minute_count (start_ns, run, direction, kind, sent,"
		" delivered, lost_between, retransmitted, duplicates, pending_before)"
		" VALUES (?,?,?,?,?,?,?,?,?,?)",
	[KL_ROW_MINUTE_INTEGRITY] = "INSERT OR REPLACE INTO minute_integrity (start_ns, run, what,"
				    " count) VALUES (?,?,?,?)",
	[KL_ROW_PART] = "INSERT OR REPLACE INTO part (start_ns, run, until_ns, copies_level,"
			" copies_unlisted, sessions) VALUES (?,?,?,?,?,?)",
	[KL_ROW_COPIES] = "INSERT OR REPLACE INTO copies (start_ns, run, level, count, packed)"
			  " VALUES (?,?,?,?,?)",
	[KL_ROW_COPIES_LEFT_OUT] =
		"DELETE FROM copies WHERE start_ns = ? AND run = ? AND level < ?",
	[KL_ROW_GAP] = "INSERT OR REPLACE INTO gap (run, from_ns, to_ns, reason, records)"
		       " VALUES (?,?,?,?,?)",
	[KL_ROW_AGENT_GAP] =
		"INSERT OR IGNORE INTO agent_gap (site, agent, from_ns, to_ns, run, told_ns, side,"
		" why) VALUES (?,?,?,?,?,?,?,?)",
	[KL_ROW_REMARK] = "INSERT OR IGNORE INTO remark (run, text) VALUES (?,?)",
};

const char *const kl_schema_prune[] = {
	"DELETE FROM copies WHERE start_ns < ?",
	"DELETE FROM part WHERE start_ns < ?",
	"DELETE FROM minute WHERE start_ns < ?",
	"DELETE FROM minute_count WHERE start_ns < ?",
	"DELETE FROM minute_integrity WHERE start_ns < ?",
	"DELETE FROM loss WHERE told_ns < ?",
	"DELETE FROM retransmission WHERE time_ns < ?",
	"DELETE FROM session_event WHERE time_ns < ?",
	"DELETE FROM forecast WHERE time_ns < ?",
	"DELETE FROM mac WHERE time_ns < ?",
	"DELETE FROM alarm WHERE time_ns < ?",
	"DELETE FROM dropped WHERE time_ns < ?",
	"DELETE FROM rule WHERE time_ns < ?",
	"DELETE FROM gap WHERE to_ns < ?",
	"DELETE FROM agent_gap WHERE told_ns < ?",
	/* (What is told of a session may be told later than it was seen last.) */
	"DELETE FROM session WHERE seen_ns < ? - 3600000000000",
	"DELETE FROM run WHERE end_ns < ?",
	"DELETE FROM ageing WHERE time_ns < ? AND run NOT IN (SELECT id FROM run)",
	"DELETE FROM arp WHERE time_ns < ? AND run NOT IN (SELECT id FROM run)",
	"DELETE FROM remark WHERE ? AND run NOT IN (SELECT id FROM run)",
	NULL,
};

const char *kl_schema_insert(enum kl_row row)
{
	return inserts[row];
}

static int pragma(sqlite3 *db, const char *sql, int *ret, struct kl_error *err)
{
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (r == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		*ret = sqlite3_column_int(s, 0);
	r = sqlite3_finalize(s);
	if (r == SQLITE_NOTADB)
		return kl_fail(err, -EBADMSG, "not a history of kaloss, nor any SQLite file");
	return r == SQLITE_OK ? 0 : kl_fail(err, -EBADMSG, "%s", sqlite3_errmsg(db));
}

int kl_schema_version(sqlite3 *db, int *ret, struct kl_error *err)
{
	int application = 0, version = 0, tables = 0, r;

	*ret = 0;
	r = pragma(db, "PRAGMA application_id", &application, err)
		    ?: pragma(db, "PRAGMA user_version", &version, err)
			       ?: pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (r)
		return r;
	if (!tables && !application && !version)
		return 0;
	if (application != KL_HISTORY_APPLICATION)
		return kl_fail(err, -EBADMSG, "an SQLite file, but not a history of kaloss");
	if (version > KL_HISTORY_VERSION)
		return kl_fail(err, -EBADMSG,
			       "written by a newer kaloss (version %d of its tables; this one "
			       "knows those up to %d)",
			       version, KL_HISTORY_VERSION);
	if (version < 1)
		return kl_fail(err, -EBADMSG, "a history without a version");
	*ret = version;
	return 0;
}

int kl_schema_migrate(sqlite3 *db, int from, int to, struct kl_error *err)
{
	char marks[96];
	int r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	for (int i = from; r == SQLITE_OK && i < to; i++)
		r = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
	snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 KL_HISTORY_APPLICATION, to);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, marks, NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (r == SQLITE_OK)
		return 0;
	kl_set_error(err, "making its tables: %s", sqlite3_errmsg(db));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r == SQLITE_FULL ? -ENOSPC : -EIO;
}
