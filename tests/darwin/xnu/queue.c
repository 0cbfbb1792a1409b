/* Packets in order. */
#include <stdlib.h>

#include "kernel.h"

struct packet *packet_new(size_t len)
{
	struct packet *packet = calloc(1, sizeof(*packet) + len);

	if (!packet)
		die("no memory");
	packet->len = len;
	return packet;
}

void packet_free(struct packet *packet)
{
	if (!packet)
		return;
	for (unsigned i = 0; i < packet->n_rights; i++)
		file_drop(packet->rights[i]);
	free(packet);
}

void queue_add(struct queue *queue, struct packet *packet)
{
	packet->next = NULL;
	if (queue->last)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
	queue->bytes += packet->len;
	queue->count++;
}

struct packet *queue_take(struct queue *queue)
{
	struct packet *packet = queue->first;

	if (!packet)
		return NULL;
	queue->first = packet->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= packet->len;
	queue->count--;
	return packet;
}

void queue_clear(struct queue *queue)
{
	while (queue->first)
		packet_free(queue_take(queue));
}
