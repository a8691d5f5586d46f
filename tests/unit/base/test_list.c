#include "base/list.h"

#include "base/check.h"

#include <criterion/criterion.h>

struct node {
    int value;
    struct list link;
};

static void new_nodes(struct node *nodes, int count)
{
    for (int i = 0; i < count; i++) {
        nodes[i].value = i;
        list_init(&nodes[i].link);
    }
}

static int value_of(const struct list *link)
{
    return CONTAINER_OF(link, const struct node, link)->value;
}

Test(list, that_is_empty_has_neither_first_nor_last)
{
    struct list head;
    list_init(&head);
    cr_assert(list_is_empty(&head));
    cr_assert_null(list_first(&head));
    cr_assert_null(list_last(&head));
    LIST_FOREACH (link, &head)
        cr_assert_fail("nothing is in it");
}

Test(list, removing_what_is_not_linked_is_harmless)
{
    struct node node;
    new_nodes(&node, 1);
    list_remove(&node.link);
    cr_assert_not(list_is_linked(&node.link));
}

Test(list, keeps_the_order_of_appending_and_prepending)
{
    struct list head;
    struct node nodes[3];
    list_init(&head);
    new_nodes(nodes, 3);
    list_append(&head, &nodes[1].link);
    list_append(&head, &nodes[2].link);
    list_prepend(&head, &nodes[0].link);
    int wanted = 0;
    LIST_FOREACH (link, &head)
        cr_assert_eq(value_of(link), wanted++);
    cr_assert_eq(wanted, 3);
    cr_assert_eq(value_of(list_first(&head)), 0);
    cr_assert_eq(value_of(list_last(&head)), 2);
}

Test(list, may_lose_nodes_while_it_is_walked_safely)
{
    struct list head;
    struct node nodes[3];
    list_init(&head);
    new_nodes(nodes, 3);
    for (int i = 0; i < 3; i++)
        list_append(&head, &nodes[i].link);
    LIST_FOREACH_SAFE (link, following, &head)
        list_remove(link);
    cr_assert(list_is_empty(&head));
    cr_assert_not(list_is_linked(&nodes[1].link));
}
