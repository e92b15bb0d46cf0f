// SPDX-License-Identifier: GPL-2.0-only
/*
 * The segments of our ports that the kernel drops in our network namespace, and why. An object of
 * its own: where the kernel does not take it, all else goes on without it.
 *
 * Of the kernel's types only what is read here is written down; the loader puts in the offsets of
 * the running kernel. What the packet's own structures say is loaded as the verifier knows them, which
 * costs least; headers are read piece by piece, by a helper that cannot fault: they may be anywhere, and
 * whatever they say does no harm.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include <kaloss/drop_record.h>
#include <kaloss/parse.h>

char _license[] SEC("license") = "GPL";

#define KL_KERNEL_TYPE __attribute__((preserve_access_index))

struct ns_common___kl {
	unsigned int inum;
} KL_KERNEL_TYPE;

struct net___kl {
	struct ns_common___kl ns;
} KL_KERNEL_TYPE;

struct possible_net_t___kl {
	struct net___kl *net;
} KL_KERNEL_TYPE;

struct net_device___kl {
	int ifindex;
	struct possible_net_t___kl nd_net;
} KL_KERNEL_TYPE;

struct dst_entry___kl {
	struct net_device___kl *dev;
} KL_KERNEL_TYPE;

struct sk_buff___kl {
	struct net_device___kl *dev;
	unsigned long _skb_refdst;
	unsigned int len;
	__be16 protocol;
	__u16 network_header;
	unsigned int tail;
	unsigned char *head;
	unsigned char *data;
} KL_KERNEL_TYPE;

enum skb_drop_reason___kl {
	SKB_NOT_DROPPED_YET___kl = 0,
	SKB_CONSUMED___kl = 1,
};

const volatile struct kl_ports kl_ports = {};
const volatile __u32 kl_netns = 0; /* inode number of our network namespace */

__u64 kl_drops_unheard = 0; /* they found no room */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set at load */
} kl_drop_records SEC(".maps");

/* A packet as far as it is read. Offsets are from the start of its buffer. */
struct packet {
	const unsigned char *head;
	__u32 tail; /* the end of what the buffer holds */
	__u32 l3_off;
	__u32 l3_len; /* header and payload, as the header says; 0: it does not */
	__u32 l4_off;
	__u16 type;
};

static __always_inline bool read_at(const struct packet *p, __u32 off, void *to, __u32 size)
{
	return off + size <= p->tail && !bpf_probe_read_kernel(to, size, p->head + off);
}

/* Where it was or would have gone, if that is ours. */
static __always_inline bool find_interface(const struct sk_buff___kl *skb, __u32 *ret_ifindex)
{
	const struct net_device___kl *dev = skb->dev;
	const struct dst_entry___kl *dst;

	if (dev) {
		*ret_ifindex = (__u32)dev->ifindex;
		return dev->nd_net.net->ns.inum == kl_netns;
	}
	/* The lowest bit says that the route is only borrowed. (Then it is no pointer to the verifier.) */
	dst = (const void *)(skb->_skb_refdst & ~1UL);
	dev = dst ? BPF_CORE_READ(dst, dev) : NULL;
	if (!dev || BPF_CORE_READ(dev, nd_net.net, ns.inum) != kl_netns)
		return false;
	*ret_ifindex = (__u32)BPF_CORE_READ(dev, ifindex);
	return true;
}

static __always_inline bool skip_vlan_tags(struct packet *p)
{
	__u8 tag[4];

	KL_UNROLL
	for (int i = 0; i < 2 && kl_is_vlan_type(p->type); i++) {
		if (!read_at(p, p->l3_off, tag, sizeof(tag)))
			return false;
		p->type = kl_be16(tag + 2);
		p->l3_off += sizeof(tag);
	}
	return true;
}

static __always_inline bool read_ipv4(struct packet *p, struct kl_segment *s)
{
	__u8 h[20];

	if (!read_at(p, p->l3_off, h, sizeof(h)) || h[0] >> 4 != 4 || (h[0] & 0x0f) < 5 ||
	    h[9] != KL_IPPROTO_TCP || kl_be16(h + 6) & 0x1fff)
		return false;
	p->l3_len = kl_be16(h + 2);
	p->l4_off = p->l3_off + (h[0] & 0x0f) * 4;
	s->family = 4;
	KL_MEMCPY(&s->src[0], h + 12, 4);
	KL_MEMCPY(&s->dst[0], h + 16, 4);
	return true;
}

static __always_inline bool read_ipv6(struct packet *p, struct kl_segment *s)
{
	__u8 h[40], proto;

	if (!read_at(p, p->l3_off, h, sizeof(h)) || h[0] >> 4 != 6)
		return false;
	p->l3_len = kl_be16(h + 4);
	if (p->l3_len)
		p->l3_len += sizeof(h);
	p->l4_off = p->l3_off + sizeof(h);
	s->family = 6;
	KL_MEMCPY(s->src, h + 8, 16);
	KL_MEMCPY(s->dst, h + 24, 16);
	proto = h[6];
	KL_UNROLL
	for (int i = 0; i < KL_IPV6_EXT_MAX; i++) {
		__u32 len;
		__u8 ext[4];

		if (!kl_is_ipv6_ext(proto))
			break;
		if (!read_at(p, p->l4_off, ext, sizeof(ext)))
			return false;
		if (proto == 44 && kl_be16(ext + 2) & 0xfff8)
			return false; /* a later fragment has no ports */
		len = ((__u32)ext[1] + 1) * 8;
		if (proto == 51)
			len = ((__u32)ext[1] + 2) * 4;
		if (proto == 44)
			len = 8;
		p->l4_off += len;
		proto = ext[0];
	}
	return proto == KL_IPPROTO_TCP;
}

static __always_inline bool read_segment(const struct sk_buff___kl *skb, struct kl_segment *s)
{
	struct packet p = {
		.head = BPF_CORE_READ(skb, head), /* a number, to reckon with */
		.tail = skb->tail,
		.l3_off = skb->network_header,
		.type = __builtin_bswap16(skb->protocol),
	};
	__u32 l3_off = p.l3_off, headers_len;
	__u8 tcp[KL_TCP_LEN];

	if (!skip_vlan_tags(&p))
		return false;
	if (!(p.type == KL_ETHERTYPE_IPV4   ? read_ipv4(&p, s)
	      : p.type == KL_ETHERTYPE_IPV6 ? read_ipv6(&p, s)
					    : false))
		return false;
	if (!read_at(&p, p.l4_off, tcp, sizeof(tcp)))
		return false;
	s->sport = kl_be16(tcp);
	s->dport = kl_be16(tcp + 2);
	s->seq = kl_be32(tcp + 4);
	s->flags = tcp[13] & 0x3f;
	/* The largest aggregates have no room for their length. */
	if (!p.l3_len)
		p.l3_len = skb->len - (__u32)(p.head + p.l3_off - BPF_CORE_READ(skb, data));
	headers_len = p.l4_off - p.l3_off + (tcp[12] >> 4) * 4;
	s->payload_len = p.l3_len > headers_len ? p.l3_len - headers_len : 0;
	return l3_off != 0;
}

static __always_inline bool is_no_drop(__u32 reason)
{
	if (reason == SKB_NOT_DROPPED_YET___kl)
		return true;
	return bpf_core_enum_value_exists(enum skb_drop_reason___kl, SKB_CONSUMED___kl) &&
	       reason == bpf_core_enum_value(enum skb_drop_reason___kl, SKB_CONSUMED___kl);
}

static __always_inline void tell(const struct kl_segment *s, __u32 ifindex, __u64 location,
				 __u32 reason)
{
	struct kl_drop_record *r = bpf_ringbuf_reserve(&kl_drop_records, sizeof(*r), 0);
	bool ambiguous;
	__u32 direction;

	if (!r) {
		__sync_fetch_and_add(&kl_drops_unheard, 1);
		return;
	}
	direction = kl_orient(&kl_ports, s, &ambiguous);
	KL_MEMSET(r, 0, sizeof(*r));
	r->time_ns = bpf_ktime_get_ns();
	r->location = location;
	kl_endpoints_of(s, direction, &r->ends);
	r->seq = s->seq;
	r->payload_len = s->payload_len;
	r->reason = reason;
	r->ifindex = ifindex;
	r->direction = (__u8)direction;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

/* Its arguments: the packet, the place in the kernel, the reason; newer kernels have more. */
SEC("tp_btf/kfree_skb")
int kaloss_drop(__u64 *ctx)
{
	const struct sk_buff___kl *skb = (const void *)ctx[0];
	__u32 reason = (__u32)ctx[2], ifindex;
	struct kl_segment s = {};

	if (is_no_drop(reason) || !find_interface(skb, &ifindex) || !read_segment(skb, &s))
		return 0;
	if (!kl_port_is_signalling(&kl_ports, s.sport) &&
	    !kl_port_is_signalling(&kl_ports, s.dport))
		return 0;
	/* Openings and ends are not joined, and so never asked for. */
	if (!s.payload_len && s.flags & (KL_SYN | KL_FIN | KL_RST))
		return 0;
	tell(&s, ifindex, ctx[1], reason);
	return 0;
}
