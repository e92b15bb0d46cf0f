// SPDX-License-Identifier: GPL-2.0-only
/* broker.h: streams, and publishing without waiting */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/broker_internal.h"
#include "util/cleanup.h"
#include "util/duration.h"

static bool is_connected(struct kl_broker *b)
{
	bool connected;

	pthread_mutex_lock(&b->lock);
	connected = b->connected;
	pthread_mutex_unlock(&b->lock);
	return b->js && connected;
}

/* ---- Streams ---- */

int kl_broker_find_stream(struct kl_broker *b, const char *name, struct kl_error *err)
{
	jsStreamInfo *info = NULL;
	jsErrCode code = 0;
	natsStatus s;

	if (!is_connected(b))
		return kl_fail(err, -ENOTCONN, "no connection to a NATS server");
	s = js_GetStreamInfo(&info, b->js, name, NULL, &code);
	jsStreamInfo_Destroy(info);
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, code, name);
}

int kl_broker_make_stream(struct kl_broker *b, const struct kl_broker_stream *stream,
			  struct kl_error *err)
{
	const char *subjects[KL_COUNT(stream->subjects)];
	int r = kl_broker_find_stream(b, stream->name, err);
	jsStreamConfig config;
	jsErrCode code = 0;
	natsStatus s;

	if (r != -ENOENT)
		return r;
	jsStreamConfig_Init(&config);
	config.Name = stream->name;
	for (size_t i = 0; i < KL_COUNT(subjects) && stream->subjects[i]; i++)
		subjects[config.SubjectsLen++] = stream->subjects[i];
	config.Subjects = subjects;
	config.MaxAge = (int64_t)stream->max_age_ns;
	if (stream->max_bytes)
		config.MaxBytes = (int64_t)stream->max_bytes;
	if (stream->max_per_subject)
		config.MaxMsgsPerSubject = stream->max_per_subject;
	config.Replicas = stream->replicas ? stream->replicas : 1;
	config.Duplicates = (int64_t)stream->duplicates_ns;
	config.Storage = stream->in_memory ? js_MemoryStorage : js_FileStorage;
	s = js_AddStream(NULL, b->js, &config, NULL, &code);
	/* Another one made it meanwhile. */
	if (code == JSStreamNameExistErr)
		return 0;
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, code, stream->name);
}

/* ---- Publishing ---- */

static void fill_ack(struct kl_broker_ack *a, natsMsg *msg, const jsPubAck *pa,
		     const jsPubAckErr *pae)
{
	const char *id = NULL;

	if (natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) == NATS_OK && id)
		snprintf(a->id, sizeof(a->id), "%s", id);
	if (pa) {
		a->duplicate = pa->Duplicate;
		a->sequence = pa->Sequence;
	} else {
		a->error = pae ? kl_broker_errno(pae->Err, pae->ErrCode) : -EIO;
		snprintf(a->text, sizeof(a->text), "%.150s",
			 pae && pae->ErrText && pae->ErrText[0]
				 ? pae->ErrText
				 : natsStatus_GetText(pae ? pae->Err : NATS_ERR));
	}
}

static void put_news(struct kl_broker *b, struct kl_broker_news *news)
{
	pthread_mutex_lock(&b->lock);
	if (b->last)
		b->last->next = news;
	else
		b->first = news;
	b->last = news;
	pthread_mutex_unlock(&b->lock);
	kl_broker_wake(b);
}

void kl_broker_on_ack(jsCtx *js, natsMsg *msg, jsPubAck *pa, jsPubAckErr *pae, void *arg)
{
	struct kl_broker_news *news = calloc(1, sizeof(*news));

	(void)js;
	/* (Without memory it is one that never came: see kl_broker_give_up().) */
	if (news) {
		fill_ack(&news->ack, msg, pa, pae);
		put_news(arg, news);
	}
	natsMsg_Destroy(msg);
}

static struct kl_broker_flying *find_flying(struct kl_broker *b, const char *id)
{
	for (uint32_t i = 0; i < b->config.max_pending; i++) {
		if (!strcmp(b->flying[i].id, id))
			return &b->flying[i];
	}
	return NULL;
}

void kl_broker_give_up(struct kl_broker *b, uint64_t before_ns)
{
	for (uint32_t i = 0; i < b->config.max_pending && b->pending; i++) {
		struct kl_broker_flying *f = &b->flying[i];
		struct kl_broker_news *news;

		if (!f->id[0] || f->since_ns >= before_ns)
			continue;
		news = calloc(1, sizeof(*news));
		if (!news)
			return; /* the next time, then */
		memcpy(news->ack.id, f->id, sizeof(f->id));
		news->ack.error = -ETIMEDOUT;
		snprintf(news->ack.text, sizeof(news->ack.text), "no acknowledgement");
		put_news(b, news);
		f->since_ns = UINT64_MAX; /* once */
	}
}

int kl_broker_publish(struct kl_broker *b, const char *subject, const void *data, size_t len,
		      const char *id)
{
	struct kl_broker_flying *f;
	jsPubOptions options;
	natsStatus s;

	if (!id[0] || strlen(id) >= KL_BROKER_ID_SIZE)
		return -EINVAL;
	if (!is_connected(b))
		return -ENOTCONN;
	f = find_flying(b, "");
	if (!f)
		return -EAGAIN;
	jsPubOptions_Init(&options);
	options.MsgId = id;
	/* So that what breaks with the connection comes back. */
	options.MaxWait = KL_BROKER_WAIT_MS;
	s = js_PublishAsync(b->js, subject, data, (int)len, &options);
	if (s != NATS_OK)
		return kl_broker_errno(s, 0);
	snprintf(f->id, sizeof(f->id), "%s", id);
	f->since_ns = kl_monotonic_ns();
	b->pending++;
	b->sent++;
	return 0;
}

static struct kl_broker_news *take_news(struct kl_broker *b)
{
	struct kl_broker_news *news;

	pthread_mutex_lock(&b->lock);
	news = b->first;
	if (news) {
		b->first = news->next;
		if (!b->first)
			b->last = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	return news;
}

bool kl_broker_next_ack(struct kl_broker *b, struct kl_broker_ack *ret)
{
	struct kl_broker_news *news;

	while ((news = take_news(b))) {
		struct kl_broker_flying *f = news->ack.id[0] ? find_flying(b, news->ack.id) : NULL;

		*ret = news->ack;
		free(news);
		if (!f)
			continue; /* it was given up before */
		f->id[0] = '\0';
		b->pending--;
		return true;
	}
	return false;
}

size_t kl_broker_pending(const struct kl_broker *b)
{
	return b->pending;
}

int kl_broker_tell(struct kl_broker *b, const char *subject, const void *data, size_t len)
{
	natsStatus s;

	if (!is_connected(b))
		return -ENOTCONN;
	s = natsConnection_Publish(b->nc, subject, data, (int)len);
	return s == NATS_OK ? 0 : kl_broker_errno(s, 0);
}

int kl_broker_flush(struct kl_broker *b, unsigned wait_ms)
{
	natsStatus s;

	if (!is_connected(b))
		return -ENOTCONN;
	s = natsConnection_FlushTimeout(b->nc, wait_ms);
	return s == NATS_OK ? 0 : kl_broker_errno(s, 0);
}
