/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The power button, for guests where nobody else listens to it. */
#pragma once

#include "loop.h"

#include <stddef.h>

typedef struct AgentButton AgentButton;

/* Calls @pressed whenever it is pressed and systemd's logind does not run. NULL if there is no
 * button. */
AgentButton *agent_button_new (AgentLoop *loop, bool (*pressed) (void *data), void *data);

/* Whether the keys that a device has (EVIOCGBIT of EV_KEY) are a power button's. */
bool agent_button_has_power (const uint8_t *keys);
/* Whether one of @length bytes of events (struct input_event) is the press of one. */
bool agent_button_is_pressed (const void *events, size_t length);
