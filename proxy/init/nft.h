/* nft.h - hands rules to the kernel, by libnftables. Example: char *why = NULL; if (nft_apply(text,
 * &why) != OK) tell(why); free(why). Ask kernel_ask() first. One thread. */
#ifndef OUTRIGGER_INIT_NFT_H
#define OUTRIGGER_INIT_NFT_H

#include "base/err.h"

MUST_CHECK enum err nft_apply(const char *commands, char **why);
/* All of the commands or none: they are one transaction. ERR_SYSTEM: refused, `*why` is what nft
 * says of it, with the line that it is about; the caller frees it (NULL when there is no memory for
 * it). ERR_NO_MEMORY: nothing was tried. */

#endif
