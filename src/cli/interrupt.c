/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int event = -1;
static volatile sig_atomic_t came;

static void
on_signal (int number)
{
  const uint64_t one = 1;
  int saved = errno;

  came = 1;
  if (write (event, &one, sizeof one) < 0)
    errno = saved;
  errno = saved;
}

int
banger_interrupt_catch (void)
{
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

  if (event >= 0)
    return event;
  event = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  return event;
}

gboolean
banger_interrupt_is_ignored (int number)
{
  struct sigaction action = { 0 };

  return sigaction (number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

gboolean
banger_interrupt_came (void)
{
  return came != 0;
}
