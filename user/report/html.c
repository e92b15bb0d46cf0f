// SPDX-License-Identifier: GPL-2.0-only
/*
 * A diagnosis as one HTML file that needs nothing beside it: the verdict and the counts as plain
 * HTML, the timeline and the tables drawn by the script in html/ from the data behind them. Only
 * that script may run, whatever the texts in the report are: the page's policy names its hash.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/names.h"
#include "report/html_data.h"
#include "report/html_text.h"
#include "report/integrity.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* html_page.h is made from html/ by the Makefile: kl_page_style[], _script[], _body[], hashes. */
#include "html_page.h"

static const char *title_of(enum kl_cause cause)
{
	static const char *const titles[KL_CAUSES] = {
		[KL_CAUSE_MAC_AGEING] = "A switch forgets phones that are silent for too long",
		[KL_CAUSE_MAC_FLUSH] = "MAC tables are flushed, and keepalives are lost after it",
		[KL_CAUSE_PROXY_ARP] = "Another device answers ARP for the call server",
		[KL_CAUSE_IN_HOST_DROP] = "This host drops keepalives itself",
		[KL_CAUSE_BETWEEN_LOSS] = "Keepalives are lost between the two interfaces",
		[KL_CAUSE_PHONE_SIDE_LOSS] =
			"Keepalives are lost between the phones and the access side",
		[KL_CAUSE_CUCM_SIDE_LOSS] = "Keepalives are lost beyond the CUCM side",
		[KL_CAUSE_CUCM_SILENT] = "The call server acknowledges, but does not answer",
		[KL_CAUSE_FAILOVER_TOO_TIGHT] = "Failover is too tight for the answers' times",
		[KL_CAUSE_MIDDLEBOX_RESET] = "A box in the middle resets connections",
		[KL_CAUSE_SEQUENCE_REWRITING] = "Sequence numbers are rewritten on the way",
		[KL_CAUSE_MTU_BLACK_HOLE] = "Large packets disappear, small ones pass",
		[KL_CAUSE_PHONE_INITIATED] = "Phones ended their connections themselves",
		[KL_CAUSE_CUCM_INITIATED] = "The call server ended connections",
		[KL_CAUSE_ASYMMETRIC_PATH] = "The two directions take different ways",
	};
	const char *title = (unsigned)cause < KL_CAUSES ? titles[cause] : NULL;

	return title ? title : "Something is wrong";
}

/* Seconds as people say them. */
static void put_duration(FILE *out, double s)
{
	if (s >= 3 * 3600)
		fprintf(out, "%.1f hours", s / 3600);
	else if (s >= 180)
		fprintf(out, "%.0f minutes", s / 60);
	else
		fprintf(out, "%.1f s", s);
}

static void put_time(FILE *out, uint64_t time_ns, const char *format)
{
	time_t seconds = (time_t)(time_ns / KL_NS_PER_S);
	char text[64] = "", iso[64] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), format, &tm);
	kl_format_time(time_ns, iso, sizeof(iso));
	fprintf(out, "<time datetime=\"%s\">%s</time>", iso, text);
}

static void put_head(FILE *out, const struct kl_diagnosis_record *r)
{
	uint64_t first_ns, last_ns;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "script-src 'sha256-" KL_PAGE_SCRIPT_SHA256 "'; "
	      "style-src 'sha256-" KL_PAGE_STYLE_SHA256 "'; connect-src 'none'; "
	      "base-uri 'none'; form-action 'none'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta name=\"generator\" content=\"kaloss " KL_VERSION "\">\n"
	      "<title>kaloss: diagnosis</title>\n<style>",
	      out);
	fwrite(kl_page_style, 1, sizeof(kl_page_style), out);
	fputs("</style>\n</head>\n<body>\n<header>\n<h1>Keepalive diagnosis</h1>\n<p>", out);
	kl_html_range(r, &first_ns, &last_ns);
	if (first_ns) {
		put_time(out, first_ns, "%Y-%m-%d %H:%M:%S");
		fputs(" to ", out);
		put_time(out, last_ns, "%Y-%m-%d %H:%M:%S (UTC%z)");
		fputs(", ", out);
		put_duration(out, (double)(last_ns - first_ns) / 1e9);
		fputs("; ", out);
	}
	fprintf(out, "%zu phones", r->diagnosis->phones);
	for (int side = 0; side < KL_SIDES; side++) {
		if (!r->captures[side].files)
			continue;
		fprintf(out, "; %s side: ", side == KL_ACCESS ? "access" : "CUCM");
		kl_html_put(out, r->captures[side].files);
	}
	fputs("</p>\n</header>\n<main>\n", out);
}

/* ---- The verdict ---- */

static void put_evidence(FILE *out, const struct kl_finding_evidence *e)
{
	fprintf(out, "<li%s>", e->against ? " class=\"against\"" : "");
	if (e->against)
		fputs("<b>Against it:</b> ", out);
	kl_html_put(out, e->text);
	fputs(".", out);
	for (size_t i = 0; i < e->figure_count; i++) {
		fputs(" <span class=\"figure\">", out);
		kl_html_put(out, e->figure[i].name);
		fprintf(out, " %.6g</span>", e->figure[i].value);
	}
	fputs("</li>\n", out);
}

static void put_finding(FILE *out, size_t number, const struct kl_finding *f)
{
	const char *confidence = kl_confidence_name(f->confidence);

	fprintf(out,
		"<li class=\"finding %s %s\" data-cause=\"%s\">\n<h3><span "
		"class=\"number\">%zu</span> %s</h3>\n<p class=\"about\"><span "
		"class=\"confidence\">%s confidence</span> <code>%s</code>",
		confidence, f->fault ? "fault" : "note", kl_cause_name(f->cause), number,
		title_of(f->cause), confidence, kl_cause_name(f->cause));
	if (f->phones)
		fprintf(out, " <span>%" PRIu64 " phone%s</span>", f->phones,
			f->phones == 1 ? "" : "s");
	if (f->losses)
		fprintf(out, " <span>%" PRIu64 " loss%s</span>", f->losses,
			f->losses == 1 ? "" : "es");
	if (!f->fault)
		fputs(" <span>good to know, no fault</span>", out);
	fputs("</p>\n<p>", out);
	kl_html_put(out, f->explanation);
	fputs("</p>\n", out);
	if (f->remedy[0]) {
		fputs("<p class=\"remedy\"><b>What to change:</b> ", out);
		kl_html_put(out, f->remedy);
		fputs("</p>\n", out);
	}
	if (f->evidence_count) {
		fputs("<h4>Evidence</h4>\n<ul>\n", out);
		/* First what speaks for it. */
		for (size_t i = 0; i < 2 * f->evidence_count; i++) {
			const struct kl_finding_evidence *e = &f->evidence[i % f->evidence_count];

			if (e->against == (i >= f->evidence_count))
				put_evidence(out, e);
		}
		fputs("</ul>\n", out);
	}
	fputs("</li>\n", out);
}

static void put_verdict(FILE *out, const struct kl_diagnosis_record *r)
{
	fputs("<section id=\"verdict\" aria-labelledby=\"verdict-title\">\n"
	      "<h2 id=\"verdict-title\">Verdict</h2>\n",
	      out);
	if (!r->finding_count && r->diagnosis->lost_count)
		fputs("<p class=\"healthy open\">No cause can be named for the losses below: there "
		      "are too few of them, or nothing speaks for one.</p>\n",
		      out);
	else if (!r->finding_count)
		fputs("<p class=\"healthy\">Nothing is wrong with what was seen: no keepalive "
		      "and no answer is known to be lost.</p>\n",
		      out);
	else
		fputs("<ol class=\"findings\">\n", out);
	for (size_t i = 0; i < r->finding_count; i++)
		put_finding(out, i + 1, &r->findings[i]);
	fputs(r->finding_count ? "</ol>\n</section>\n" : "</section>\n", out);
}

/* ---- The counts ---- */

/* With thin spaces between the thousands. */
static void put_grouped(FILE *out, uint64_t n)
{
	if (n < 1000) {
		fprintf(out, "%" PRIu64, n);
		return;
	}
	put_grouped(out, n / 1000);
	fprintf(out, "&#8239;%03" PRIu64, n % 1000);
}

static void put_tile(FILE *out, const char *name, uint64_t n, const char *class)
{
	fprintf(out, "<div%s%s%s><dt>%s</dt><dd>", class && n ? " class=\"" : "",
		class && n ? class : "", class && n ? "\"" : "", name);
	put_grouped(out, n);
	fputs("</dd></div>\n", out);
}

static void put_counts(FILE *out, const struct kl_diagnosis_record *r)
{
	const struct kl_diagnosis *d = r->diagnosis;
	const struct kl_count *up = &d->total.direction[KL_TO_CUCM];
	const struct kl_count *down = &d->total.direction[KL_TO_PHONE];
	uint64_t where[KL_WHERES], unregistered = 0;

	for (int w = 0; w < KL_WHERES; w++)
		where[w] = d->inferred[KL_TO_CUCM][w] + d->inferred[KL_TO_PHONE][w];
	for (size_t i = 0; i < d->evidence.alarm.count; i++)
		unregistered += kl_alarm_is_unregistration(&d->evidence.alarm.item[i]);
	fputs("<section id=\"counts\" aria-label=\"Counts\">\n<dl class=\"tiles\">\n", out);
	put_tile(out, "phones", d->phones, NULL);
	put_tile(out, "sent to CUCM", up->sent, NULL);
	put_tile(out, "sent to phones", down->sent, NULL);
	if (d->two_sided || r->live)
		put_tile(out, "lost between the interfaces", up->lost_between + down->lost_between,
			 "bad");
	put_tile(out, "lost between phone and access side", where[KL_PHONE_SIDE], "bad");
	put_tile(out, "lost between CUCM side and CUCM", where[KL_CUCM_SIDE], "bad");
	put_tile(out, "lost, or their acknowledgement", where[KL_WHERE_UNKNOWN], "bad");
	put_tile(out, "sent again", up->retransmitted + down->retransmitted, NULL);
	if (d->evidence.has_alarms)
		put_tile(out, "unregistrations", unregistered, "bad");
	fputs("</dl>\n</section>\n", out);
}

static void put_sentence(bool not_counted, const char *sentence, void *arg)
{
	size_t length = strlen(sentence);

	fputs("<li>", arg);
	if (not_counted)
		fputs("Not counted: ", arg);
	kl_html_put(arg, sentence);
	fputs(length && sentence[length - 1] == '.' ? "</li>\n" : ".</li>\n", arg);
}

static void put_integrity(FILE *out, const struct kl_diagnosis_record *r)
{
	fputs("<section id=\"integrity\" aria-labelledby=\"integrity-title\">\n"
	      "<h2 id=\"integrity-title\">Integrity</h2>\n<ul>\n",
	      out);
	if (!kl_integrity_words(r, put_sentence, out))
		fputs("<li>Nothing was missed.</li>\n", out);
	fputs("</ul>\n</section>\n</main>\n", out);
}

static int html_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	int error;

	put_head(r->out, d);
	put_verdict(r->out, d);
	put_counts(r->out, d);
	fwrite(kl_page_body, 1, sizeof(kl_page_body), r->out);
	put_integrity(r->out, d);
	fputs("<script type=\"application/json\" id=\"data\">\n", r->out);
	error = kl_html_data(r->out, d);
	fputs("\n</script>\n<script>", r->out);
	fwrite(kl_page_script, 1, sizeof(kl_page_script), r->out);
	fputs("</script>\n</body>\n</html>\n", r->out);
	return error ? error : kl_report_flush(r);
}

const struct kl_report_format kl_report_html = {
	.diagnosis = html_diagnosis,
};
