// SPDX-License-Identifier: GPL-2.0-only
/* broker_read.h */
#include "source/broker_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/broker_internal.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* Longer than anything is held: nothing is to be sent again because it is not settled yet. */
#define ACK_WAIT_NS (24 * 3600 * KL_NS_PER_S)
/* What is left of a joiner that died. */
#define UNUSED_NS (3600 * KL_NS_PER_S)

enum {
	LISTENED_MAX = 1024,
	ACKS = 256, /* places that may be acknowledged, remembered */
};

static bool is_connected(struct kl_broker *b)
{
	bool connected;

	pthread_mutex_lock(&b->lock);
	connected = b->connected && !b->closed;
	pthread_mutex_unlock(&b->lock);
	return b->js && connected;
}

static int not_connected(struct kl_error *err)
{
	return kl_fail(err, -ENOTCONN, "no connection to a NATS server");
}

/* ---- Reading a stream ---- */

struct ack {
	uint64_t sequence;
	char reply[128];
};

struct kl_broker_reader {
	struct kl_broker *broker;
	natsConnection *nc; /* that the subscription is of */
	natsSubscription *sub;
	char stream[64];
	char durable[64];
	struct ack ack[ACKS]; /* of the last message of each hand-over, oldest first */
	uint32_t acks;
};

static int add_consumer(struct kl_broker *b, const struct kl_broker_read_config *c,
			struct kl_error *err)
{
	jsConsumerConfig config;
	jsConsumerInfo *info = NULL;
	jsErrCode code = 0;
	natsStatus s;

	jsConsumerConfig_Init(&config);
	config.Durable = c->durable;
	config.DeliverPolicy = js_DeliverByStartSequence;
	config.OptStartSeq = c->from ? c->from : 1;
	config.AckPolicy = js_AckAll;
	config.AckWait = (int64_t)ACK_WAIT_NS;
	config.MaxAckPending = -1;
	config.FilterSubject = c->subject;
	config.InactiveThreshold = (int64_t)UNUSED_NS;
	config.Replicas = c->replicas;
	s = js_AddConsumer(&info, b->js, c->stream, &config, NULL, &code);
	jsConsumerInfo_Destroy(info);
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, code, c->durable);
}

int kl_broker_reader_open(struct kl_broker *b, const struct kl_broker_read_config *config,
			  struct kl_broker_reader **ret, struct kl_error *err)
{
	struct kl_broker_reader *r;
	jsSubOptions options;
	jsErrCode code = 0;
	natsStatus s;
	int error;

	*ret = NULL;
	if (!is_connected(b))
		return not_connected(err);
	error = add_consumer(b, config, err);
	if (error)
		return error;
	r = calloc(1, sizeof(*r));
	if (!r)
		return kl_fail(err, -ENOMEM, "out of memory");
	r->broker = b;
	r->nc = b->nc;
	snprintf(r->stream, sizeof(r->stream), "%s", config->stream);
	snprintf(r->durable, sizeof(r->durable), "%s", config->durable);
	jsSubOptions_Init(&options);
	options.Stream = config->stream;
	options.Consumer = config->durable;
	options.ManualAck = true;
	s = js_PullSubscribe(&r->sub, b->js, NULL, config->durable, NULL, &options, &code);
	if (s != NATS_OK) {
		error = kl_broker_fail(err, s, code, config->durable);
		kl_broker_reader_close(r);
		return error;
	}
	*ret = r;
	return 0;
}

/* (Whoever made the connection anew has freed what was of the one before.) */
static bool is_of_now(const struct kl_broker_reader *r)
{
	return r->broker->nc == r->nc;
}

void kl_broker_reader_close(struct kl_broker_reader *r)
{
	jsErrCode code;

	if (!r)
		return;
	natsSubscription_Destroy(r->sub);
	if (is_of_now(r) && is_connected(r->broker))
		js_DeleteConsumer(r->broker->js, r->stream, r->durable, NULL, &code);
	free(r);
}

static void note_ack(struct kl_broker_reader *r, natsMsg *msg, uint64_t sequence)
{
	struct ack *a;

	if (r->acks == ACKS) {
		/* Every other one will do. */
		for (uint32_t i = 0; i < ACKS / 2; i++)
			r->ack[i] = r->ack[2 * i + 1];
		r->acks = ACKS / 2;
	}
	a = &r->ack[r->acks++];
	a->sequence = sequence;
	snprintf(a->reply, sizeof(a->reply), "%s", natsMsg_GetReply(msg) ?: "");
}

static int hand_over(natsMsg *msg, kl_broker_message_fn fn, void *arg, uint64_t *ret_sequence)
{
	struct kl_broker_message m = {
		.subject = natsMsg_GetSubject(msg),
		.data = natsMsg_GetData(msg),
		.len = (size_t)natsMsg_GetDataLength(msg),
	};
	jsMsgMetaData *meta = NULL;

	if (natsMsg_GetMetaData(&meta, msg) != NATS_OK)
		return -EIO;
	m.sequence = meta->Sequence.Stream;
	m.stored_ns = (uint64_t)meta->Timestamp;
	m.behind = meta->NumPending;
	jsMsgMetaData_Destroy(meta);
	*ret_sequence = m.sequence;
	return fn(&m, arg);
}

int kl_broker_reader_take(struct kl_broker_reader *r, int most, kl_broker_message_fn fn, void *arg,
			  struct kl_error *err)
{
	natsMsgList list = {};
	jsFetchRequest request;
	uint64_t sequence = 0;
	natsStatus s;
	int error = 0, count;

	if (!is_of_now(r))
		return -ENOENT;
	if (!is_connected(r->broker))
		return not_connected(err);
	jsFetchRequest_Init(&request);
	request.Batch = most;
	request.NoWait = true;
	s = natsSubscription_FetchRequest(&list, r->sub, &request);
	if (s == NATS_TIMEOUT || s == NATS_NOT_FOUND)
		return 0;
	if (s != NATS_OK)
		return kl_broker_fail(err, s, 0, r->durable);
	count = list.Count;
	for (int i = 0; !error && i < list.Count; i++)
		error = hand_over(list.Msgs[i], fn, arg, &sequence);
	if (!error && count)
		note_ack(r, list.Msgs[count - 1], sequence);
	natsMsgList_Destroy(&list);
	return error ? error : count;
}

void kl_broker_reader_ack(struct kl_broker_reader *r, uint64_t before)
{
	uint32_t done = 0;

	while (done < r->acks && r->ack[done].sequence < before)
		done++;
	if (!done || !is_of_now(r) || !is_connected(r->broker))
		return;
	if (r->ack[done - 1].reply[0])
		natsConnection_PublishString(r->nc, r->ack[done - 1].reply, "+ACK");
	r->acks -= done;
	memmove(r->ack, r->ack + done, r->acks * sizeof(*r->ack));
}

/* ---- Records ---- */

int kl_broker_record_get(struct kl_broker *b, const char *stream, const char *subject, char **ret,
			 uint64_t *ret_sequence, struct kl_error *err)
{
	natsMsg *msg = NULL;
	jsErrCode code = 0;
	natsStatus s;
	int len;

	*ret = NULL;
	*ret_sequence = 0;
	if (!is_connected(b))
		return not_connected(err);
	s = js_GetLastMsg(&msg, b->js, stream, subject, NULL, &code);
	if (s == NATS_NOT_FOUND && code != JSStreamNotFoundErr)
		return 0;
	if (s != NATS_OK)
		return kl_broker_fail(err, s, code, subject);
	len = natsMsg_GetDataLength(msg);
	*ret = calloc(1, (size_t)len + 1);
	if (*ret) {
		memcpy(*ret, natsMsg_GetData(msg), (size_t)len);
		*ret_sequence = natsMsg_GetSequence(msg);
	}
	natsMsg_Destroy(msg);
	return *ret ? 0 : kl_fail(err, -ENOMEM, "out of memory");
}

int kl_broker_record_put(struct kl_broker *b, const char *subject, const char *text,
			 uint64_t before, uint64_t *ret_sequence, struct kl_error *err)
{
	jsPubOptions options;
	jsPubAck *ack = NULL;
	jsErrCode code = 0;
	natsStatus s;

	if (!is_connected(b))
		return not_connected(err);
	jsPubOptions_Init(&options);
	options.ExpectLastSubjectSeq = before;
	options.ExpectNoMessage = before == 0;
	s = js_Publish(&ack, b->js, subject, text, (int)strlen(text), &options, &code);
	if (s == NATS_OK)
		*ret_sequence = ack->Sequence;
	jsPubAck_Destroy(ack);
	if (code == JSStreamWrongLastSequenceErr)
		return kl_fail(err, -EEXIST, "%s: another one wrote it", subject);
	return s == NATS_OK ? 0 : kl_broker_fail(err, s, code, subject);
}

/* ---- What is told to whoever listens ---- */

struct kl_broker_listener {
	struct kl_broker *broker;
	natsConnection *nc;
	natsSubscription *sub;
};

int kl_broker_listen(struct kl_broker *b, const char *subject, struct kl_broker_listener **ret,
		     struct kl_error *err)
{
	struct kl_broker_listener *l;
	natsStatus s;

	*ret = NULL;
	if (!b->nc)
		return not_connected(err);
	l = calloc(1, sizeof(*l));
	if (!l)
		return kl_fail(err, -ENOMEM, "out of memory");
	l->broker = b;
	l->nc = b->nc;
	s = natsConnection_SubscribeSync(&l->sub, b->nc, subject);
	if (s != NATS_OK) {
		free(l);
		return kl_broker_fail(err, s, 0, subject);
	}
	*ret = l;
	return 0;
}

void kl_broker_listener_close(struct kl_broker_listener *l)
{
	if (!l)
		return;
	natsSubscription_Destroy(l->sub);
	free(l);
}

void kl_broker_listener_take(struct kl_broker_listener *l, kl_broker_message_fn fn, void *arg)
{
	for (int i = 0; i < LISTENED_MAX && l->broker->nc == l->nc; i++) {
		uint64_t waiting = 0;
		struct kl_broker_message m = {};
		natsMsg *msg = NULL;

		if (natsSubscription_QueuedMsgs(l->sub, &waiting) != NATS_OK || !waiting ||
		    natsSubscription_NextMsg(&msg, l->sub, 1) != NATS_OK)
			return;
		m.subject = natsMsg_GetSubject(msg);
		m.data = natsMsg_GetData(msg);
		m.len = (size_t)natsMsg_GetDataLength(msg);
		fn(&m, arg);
		natsMsg_Destroy(msg);
	}
}
