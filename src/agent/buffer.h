/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that wait: taken from the front, added at the end. Zeroed before first use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint8_t *bytes; /* the memory; what waits begins at bytes + start */
  size_t start;
  size_t length;
  size_t size;
} AgentBuffer;

/* Room for @length bytes at the end; NULL if there is no memory. agent_buffer_added then says how
 * many came. */
uint8_t *agent_buffer_room (AgentBuffer *buffer, size_t length);
void agent_buffer_added (AgentBuffer *buffer, size_t length);
bool agent_buffer_append (AgentBuffer *buffer, const void *bytes, size_t length);
static inline const uint8_t *
agent_buffer_front (const AgentBuffer *buffer)
{
  return buffer->bytes + buffer->start;
}
/* An empty buffer gives its memory back. */
void agent_buffer_take (AgentBuffer *buffer, size_t length);
void agent_buffer_clear (AgentBuffer *buffer);

/* Text that fits or is cut off: snprintf's rules, at the end. One that @grows begins as all zeros
 * otherwise, and its @text is to be freed. */
typedef struct {
  char *text;
  size_t length;
  size_t size;
  bool overflow;
  bool grows;
} AgentText;

#define AGENT_TEXT_MAX (4u << 20)

void
agent_text_add (AgentText *text, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
/* A JSON string with its quotes; bytes that are not printable ASCII become '?'. */
void agent_text_add_json (AgentText *text, const char *string);
