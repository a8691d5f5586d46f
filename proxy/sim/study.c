/* study.c - see study.h. */
#include "sim/study.h"

#include "sim/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL_FAMILIES ((1u << POLICY_FAMILY_COUNT) - 1)
#define SWEEP_STEP (10 * NS_PER_S) /* of the load, up and down */
#define SWEEP_MOST 1.6             /* times the scenario's own load */
#define PLOT_CALLS_MAX 3e7         /* calls that the plots may cost in all */

static const double heat_loads[] = {0.4, 0.6, 0.8, 0.9, 1, 1.1, 1.2, 1.4};
static const uint32_t heat_attempts[] = {0, 1, 2, 3, 5};

struct way { /* a contender, before it runs */
    const char *name;
    const struct policy_set *policies;
    uint32_t off;
    bool is_yardstick;
};

static struct world_order order_of(const struct study_order *order, const struct way *way,
                                   uint64_t seed)
{
    struct world_order made = {.scenario = order->scenario,
                               .policies = way->policies,
                               .policy_name = way->name,
                               .variant = VARIANT_NONE,
                               .seed = seed};
    made.variant.off = way->off;
    return made;
}

/* The end of the last fault; 0 without one. */
static dur_ns last_fault_end(const struct scenario *scenario)
{
    dur_ns end = 0;
    for (size_t i = 0; i < scenario->fault_count; i++)
        end = dur_max(end, scenario->faults[i].at + scenario->faults[i].lasts);
    return end;
}

/* ---- seeds ---------------------------------------------------------------------------------- */

static double share_in(const struct result *result, size_t bucket)
{
    const struct result_bucket *at = &result->buckets[bucket];
    return at->offered > 0 ? (double)at->good / at->offered : NAN;
}

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool allocate(struct contender *contender, size_t buckets, size_t seeds)
{
    contender->low = calloc(buckets, sizeof(double));
    contender->median = calloc(buckets, sizeof(double));
    contender->high = calloc(buckets, sizeof(double));
    contender->amplification = calloc(seeds, sizeof(double));
    contender->recovery = calloc(seeds, sizeof(dur_ns));
    return contender->low && contender->median && contender->high && contender->amplification &&
           contender->recovery;
}

static void make_band(struct contender *contender, const double *shares, double *row,
                      size_t buckets)
{
    const size_t seeds = contender->seed_count;
    for (size_t i = 0; i < buckets; i++) {
        size_t count = 0;
        for (size_t k = 0; k < seeds; k++)
            if (!isnan(shares[k * buckets + i]))
                row[count++] = shares[k * buckets + i];
        qsort(row, count, sizeof *row, by_value);
        contender->low[i] = count > 0 ? row[0] : NAN;
        contender->median[i] = count > 0 ? row[count / 2] : NAN;
        contender->high[i] = count > 0 ? row[count - 1] : NAN;
    }
}

static enum err run_seeds(const struct study_order *order, const struct way *way,
                          struct contender *contender)
{
    const dur_ns end = last_fault_end(order->scenario);
    double *shares = NULL;
    double *row = calloc(order->seed_count, sizeof *row);
    size_t buckets = 0;
    contender->name = way->name;
    contender->is_yardstick = way->is_yardstick;
    contender->seed_count = order->seed_count;
    for (size_t k = 0; k < order->seed_count; k++) {
        const struct world_order world = order_of(order, way, order->scenario->seed + k);
        struct result *result = world_run(&world);
        buckets = result->bucket_count;
        if (k == 0) {
            contender->result = result;
            shares = calloc(order->seed_count * buckets, sizeof *shares);
            if (row == NULL || shares == NULL || !allocate(contender, buckets, order->seed_count))
                break;
        }
        contender->amplification[k] = result_amplification(result, NULL);
        contender->recovery[k] = result_recovery(result, end);
        for (size_t i = 0; i < buckets; i++)
            shares[k * buckets + i] = share_in(result, i);
        if (k > 0)
            result_free(&result);
    }
    const bool is_good = row != NULL && shares != NULL && contender->recovery != NULL;
    if (is_good)
        make_band(contender, shares, row, buckets);
    free(shares);
    free(row);
    return is_good ? OK : ERR_NO_MEMORY;
}

/* ---- the sweep ------------------------------------------------------------------------------ */

static double step_load(size_t step)
{
    const size_t up = step < STUDY_SWEEP_STEPS ? step : 2 * STUDY_SWEEP_STEPS - 1 - step;
    return SWEEP_MOST * (double)(up + 1) / STUDY_SWEEP_STEPS;
}

/* The highest rate of a caller, in calls a second. */
static double peak_of(const struct scenario_caller *caller)
{
    double peak = caller->rate;
    for (size_t i = 0; i < caller->load_count; i++)
        peak = fmax(peak, caller->load[i].rate);
    return peak;
}

/* The scenario's world without faults, its load a staircase up and down again. */
static bool sweep_scenario(const struct scenario *scenario, struct scenario *sweep,
                           struct scenario_caller *callers, struct load_point *points)
{
    *sweep = *scenario;
    sweep->duration = 2 * STUDY_SWEEP_STEPS * SWEEP_STEP;
    sweep->fault_count = 0;
    sweep->expectation_count = 0;
    sweep->callers = callers;
    for (size_t i = 0; i < scenario->caller_count; i++) {
        struct load_point *load = &points[i * 4 * STUDY_SWEEP_STEPS];
        callers[i] = scenario->callers[i];
        callers[i].load = load;
        callers[i].load_count = 4 * STUDY_SWEEP_STEPS;
        for (size_t step = 0; step < 2 * STUDY_SWEEP_STEPS; step++) {
            const uint32_t rate = (uint32_t)(peak_of(&scenario->callers[i]) * step_load(step));
            load[2 * step] = (struct load_point){(dur_ns)step * SWEEP_STEP, rate};
            load[2 * step + 1] = (struct load_point){(dur_ns)(step + 1) * SWEEP_STEP - 1, rate};
        }
    }
    return true;
}

static void read_sweep(const struct result *result, struct contender *contender)
{
    const size_t per_step = (size_t)(SWEEP_STEP / result->bucket);
    for (size_t step = 0; step < 2 * STUDY_SWEEP_STEPS; step++) {
        double offered = 0;
        double good = 0;
        for (size_t i = step * per_step; i < (step + 1) * per_step; i++) {
            offered += result->buckets[i].offered;
            good += result->buckets[i].good;
        }
        const double seconds = (double)SWEEP_STEP / (double)NS_PER_S;
        const struct sweep_point point = {offered / seconds, good / seconds};
        if (step < STUDY_SWEEP_STEPS)
            contender->up[step] = point;
        else
            contender->down[step - STUDY_SWEEP_STEPS] = point;
    }
    contender->has_sweep = true;
}

static enum err run_sweep(const struct study_order *order, const struct way *way,
                          struct contender *contender)
{
    const size_t count = order->scenario->caller_count;
    struct scenario sweep;
    struct scenario_caller *callers = calloc(count, sizeof *callers);
    struct load_point *points = calloc(count * 4 * STUDY_SWEEP_STEPS, sizeof *points);
    const bool is_good = callers != NULL && points != NULL &&
                         sweep_scenario(order->scenario, &sweep, callers, points);
    if (is_good) {
        struct world_order world = order_of(order, way, order->scenario->seed);
        world.scenario = &sweep;
        struct result *result = world_run(&world);
        read_sweep(result, contender);
        result_free(&result);
    }
    free(callers);
    free(points);
    return is_good ? OK : ERR_NO_MEMORY;
}

/* ---- the heat map --------------------------------------------------------------------------- */

static uint32_t attempts_of(const struct study_order *order)
{
    const struct scenario *scenario = order->scenario;
    const uint32_t first = scenario_upstream_index(scenario, scenario->callers[0].upstream);
    const struct address_config *address = &scenario->upstreams[first].address;
    const struct document *document =
        policy_set_find(order->policy, span_of(address->host), address->port);
    const bool has_retries = document != NULL && document->policy.retry.mode != POLICY_OFF;
    return has_retries ? document->policy.retry.attempts : 0;
}

/* The rows, the user's own among them. */
static void make_rows(struct heat_map *heat, uint32_t own)
{
    const size_t given = sizeof heat_attempts / sizeof *heat_attempts;
    bool is_there = false;
    for (size_t i = 0; i < given || !is_there; i++) {
        const bool is_next = !is_there && (i >= given || own <= heat_attempts[i]);
        if (is_next) {
            heat->user_row = heat->row_count;
            heat->attempts[heat->row_count++] = own;
            is_there = true;
        }
        if (i < given && heat_attempts[i] != own)
            heat->attempts[heat->row_count++] = heat_attempts[i];
    }
}

static void run_cells(const struct study_order *order, const struct way *way, struct heat_map *heat)
{
    const struct time_window after = {.from = last_fault_end(order->scenario), .to = DUR_FOREVER};
    for (size_t row = 0; row < heat->row_count; row++) {
        for (size_t column = 0; column < heat->column_count; column++) {
            struct world_order world = order_of(order, way, order->scenario->seed);
            world.variant.load = heat_loads[column];
            world.variant.attempts = heat->attempts[row];
            struct result *result = world_run(&world);
            heat->goodput[row * heat->column_count + column] = result_goodput(result, &after);
            result_free(&result);
        }
    }
}

static enum err run_heat(const struct study_order *order, const struct way *way,
                         struct study *study)
{
    struct heat_map *heat = &study->heat;
    const size_t rows = sizeof heat_attempts / sizeof *heat_attempts + 1;
    double peak = 0;
    heat->column_count = sizeof heat_loads / sizeof *heat_loads;
    heat->loads = calloc(heat->column_count, sizeof *heat->loads);
    heat->attempts = calloc(rows, sizeof *heat->attempts);
    heat->goodput = calloc(rows * heat->column_count, sizeof *heat->goodput);
    if (heat->loads == NULL || heat->attempts == NULL || heat->goodput == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < order->scenario->caller_count; i++)
        peak += peak_of(&order->scenario->callers[i]);
    for (size_t i = 0; i < heat->column_count; i++) {
        heat->loads[i] = peak * heat_loads[i];
        if (heat_loads[i] == 1)
            heat->user_column = i;
    }
    make_rows(heat, attempts_of(order));
    run_cells(order, way, heat);
    study->has_heat = true;
    return OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static size_t ways_of(const struct study_order *order, struct way ways[STUDY_CONTENDERS_MAX])
{
    const uint32_t but_timeouts = ALL_FAMILIES & ~(1u << POLICY_FAMILY_TIMEOUTS);
    const uint32_t but_retries = but_timeouts & ~(1u << POLICY_FAMILY_RETRY);
    size_t count = 0;
    ways[count++] = (struct way){order->policy_name, order->policy, 0, false};
    if (order->other != NULL)
        ways[count++] = (struct way){order->other_name, order->other, 0, false};
    if (!order->has_plots)
        return count;
    ways[count++] = (struct way){"timeouts and retries", order->policy, but_retries, true};
    ways[count++] = (struct way){"timeouts only", order->policy, but_timeouts, true};
    return count;
}

static double calls_of(const struct scenario *scenario)
{
    double calls = 0;
    for (size_t i = 0; i < scenario->caller_count; i++)
        calls += peak_of(&scenario->callers[i]);
    return calls * (double)scenario->duration / (double)NS_PER_S;
}

static enum err run_plots(const struct study_order *order, const struct way *ways,
                          struct study *study)
{
    const double sweep = calls_of(order->scenario) * 2 * STUDY_SWEEP_STEPS * (double)SWEEP_STEP /
                         (double)order->scenario->duration;
    const double cells =
        calls_of(order->scenario) * (double)(sizeof heat_loads / sizeof *heat_loads) * 6;
    enum err e = OK;
    if (sweep * STUDY_CONTENDERS_MAX > PLOT_CALLS_MAX || cells > PLOT_CALLS_MAX)
        study->without = "The scenario is so large that plots which need many runs of it are left "
                         "out: fewer calls a second or a shorter duration bring them back.";
    for (size_t i = 0; i < study->contender_count && e == OK; i++)
        if (sweep * STUDY_CONTENDERS_MAX <= PLOT_CALLS_MAX)
            e = run_sweep(order, &ways[i], &study->contenders[i]);
    if (e == OK && cells <= PLOT_CALLS_MAX)
        e = run_heat(order, &ways[0], study);
    return e;
}

enum err study_run(const struct study_order *order, struct study **out)
{
    struct way ways[STUDY_CONTENDERS_MAX];
    struct study *study = calloc(1, sizeof *study);
    enum err e = OK;
    if (study == NULL)
        return ERR_NO_MEMORY;
    study->scenario = order->scenario;
    study->has_comparison = order->other != NULL;
    study->contender_count = ways_of(order, ways);
    for (size_t i = 0; i < study->contender_count && e == OK; i++)
        e = run_seeds(order, &ways[i], &study->contenders[i]);
    if (e == OK && order->has_plots)
        e = run_plots(order, ways, study);
    if (e == OK)
        *out = study;
    else
        study_free(&study);
    return e;
}

void study_free(struct study **taken)
{
    struct study *study = *taken;
    *taken = NULL;
    if (study == NULL)
        return;
    for (size_t i = 0; i < study->contender_count; i++) {
        struct contender *contender = &study->contenders[i];
        result_free(&contender->result);
        free(contender->low);
        free(contender->median);
        free(contender->high);
        free(contender->amplification);
        free(contender->recovery);
    }
    free(study->heat.loads);
    free(study->heat.attempts);
    free(study->heat.goodput);
    free(study);
}
