/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of what tests/pair/ generates: each sighting as the packet that it is one of. */
#pragma once

#include "../packets/packets.h"
#include "../pair/view.h"

/* What differs between the places of capture beside what the sighting says. */
struct frame_place {
	__u8 ttl;
	__u8 mac; /* of the next hop: its last byte */
};

/* packet: what was seen; ids: IP IDs are set. */
void frame_build(const struct gen_packet *packet, const struct kl_sighted *seen, bool ids,
		 const struct frame_place *place, struct pkt *ret);
