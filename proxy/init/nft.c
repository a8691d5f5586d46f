/* nft.c - see nft.h. */
#include "init/nft.h"

#include <nftables/libnftables.h>
#include <string.h>

enum err nft_apply(const char *commands, char **why)
{
    enum err e = ERR_NO_MEMORY;
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (nft == NULL || nft_ctx_buffer_error(nft) != 0)
        goto out;
    e = OK;
    if (nft_run_cmd_from_buffer(nft, commands) != 0) {
        e = ERR_SYSTEM;
        *why = strdup(nft_ctx_get_error_buffer(nft));
    }
out:
    if (nft)
        nft_ctx_free(nft);
    return e;
}
