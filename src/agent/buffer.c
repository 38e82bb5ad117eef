/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 512

uint8_t *
agent_buffer_room (AgentBuffer *buffer, size_t length)
{
  size_t size = buffer->size > 0 ? buffer->size : SIZE_MIN;
  uint8_t *bytes;

  if (buffer->start + buffer->length + length <= buffer->size)
    return buffer->bytes + buffer->start + buffer->length;
  if (buffer->start > 0) {
    memmove (buffer->bytes, buffer->bytes + buffer->start, buffer->length);
    buffer->start = 0;
  }
  while (size < buffer->length + length)
    size *= 2;
  if (size > buffer->size) {
    bytes = realloc (buffer->bytes, size);
    if (bytes == NULL)
      return NULL;
    buffer->bytes = bytes;
    buffer->size = size;
  }
  return buffer->bytes + buffer->length;
}

void
agent_buffer_added (AgentBuffer *buffer, size_t length)
{
  buffer->length += length;
}

bool
agent_buffer_append (AgentBuffer *buffer, const void *bytes, size_t length)
{
  uint8_t *room = agent_buffer_room (buffer, length);

  if (room == NULL)
    return false;
  memcpy (room, bytes, length);
  buffer->length += length;
  return true;
}

void
agent_buffer_take (AgentBuffer *buffer, size_t length)
{
  buffer->start += length;
  buffer->length -= length;
  if (buffer->length == 0)
    agent_buffer_clear (buffer);
}

void
agent_buffer_clear (AgentBuffer *buffer)
{
  free (buffer->bytes);
  *buffer = (AgentBuffer){ 0 };
}

static bool
grow_text (AgentText *text, size_t length)
{
  size_t size = text->size > 0 ? text->size : SIZE_MIN;
  char *longer;

  while (size <= text->length + length)
    size *= 2;
  longer = size <= AGENT_TEXT_MAX ? realloc (text->text, size) : NULL;
  if (longer == NULL)
    return false;
  text->text = longer;
  text->size = size;
  return true;
}

static int __attribute__ ((format (printf, 2, 0)))
add_once (AgentText *text, const char *format, va_list args)
{
  size_t room = text->size - text->length;

  return vsnprintf (room > 0 ? text->text + text->length : NULL, room, format, args);
}

void
agent_text_add (AgentText *text, const char *format, ...)
{
  va_list args, again;
  int n;

  va_start (args, format);
  va_copy (again, args);
  n = add_once (text, format, args);
  if (text->grows && n >= 0 && (size_t)n >= text->size - text->length
      && grow_text (text, (size_t)n))
    n = add_once (text, format, again);
  va_end (again);
  va_end (args);
  if (n < 0 || (size_t)n >= text->size - text->length) {
    text->overflow = true;
    if (text->size > 0)
      text->text[text->length] = '\0';
    return;
  }
  text->length += (size_t)n;
}

void
agent_text_add_json (AgentText *text, const char *string)
{
  agent_text_add (text, "\"");
  for (; *string != '\0'; string++) {
    if (*string == '"' || *string == '\\')
      agent_text_add (text, "\\%c", *string);
    else
      agent_text_add (text, "%c", *string < 32 || *string > 126 ? '?' : *string);
  }
  agent_text_add (text, "\"");
}
