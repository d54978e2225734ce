-- What is kept of past months is held against another table, carried on by a way of its own: the two differ on no day. What is
-- counted by month stands under its first day, and each table adds or takes off what it has, so that each is read once.
{%- set of_a_month_before = "measure = 'amount' and segment = 'all' and month < " ~ month_start('publication.as_of') %}
{%- set tables = [
    (ref('mart_l28'), 'date', 'true', {'l28_and_mau': 'customers'}),
    (
        ref('mart_daily_activity'), 'date', "segment = 'all' and (date = " ~ month_end('date') ~ " or date = publication.as_of)",
        {'l28_and_mau': '-mau'},
    ),
    (ref('mart_cohort_cells'), 'period_start', 'true', {
        'first_activity_cells_and_months':
            "case when cohort_kind = 'first_activity' and grain = 'month' then active_customers end",
        'signup_cells_and_months': "case when cohort_kind = 'signup' and grain = 'month' then active_customers end",
        'weeks_of_both_cohorts':
            "case when grain = 'week' then active_customers * case when cohort_kind = 'signup' then 1 else -1 end end",
        'cells_and_their_dimensions': '-' ~ (dimensions() | length + 1) ~ ' * active_customers',
    }),
    (ref('cohort_cells_by_dimension'), 'period_start', 'true', {'cells_and_their_dimensions': 'active_customers'}),
    (ref('fct_customer_months'), 'month', 'true', {
        'first_activity_cells_and_months': '-1',
        'signup_cells_and_months': '-1',
        'concentration_and_months': '-1',
        'concentration_by_country_and_months': '-1',
        'transactions_of_concentration_and_months': '-transactions',
        'amount_of_concentration_and_months': '-cast(case when amount_usd > 0 then amount_usd end as ' ~ float_type() ~ ')',
    }),
    (ref('mart_concentration'), 'month', 'true', {
        'concentration_and_months': "case when measure = 'transactions' and segment = 'all' then customers end",
        'concentration_by_country_and_months': "case when measure = 'transactions' and segment = 'country' then customers end",
        'transactions_of_concentration_and_months':
            "case when measure = 'transactions' and segment = 'all' then cast(total as bigint) end",
        'amount_of_concentration_and_months': "case when measure = 'amount' and segment = 'all' then total end",
        'amount_retention_and_concentration': 'case when ' ~ of_a_month_before ~ ' then -customers end',
        'amount_of_retention_and_concentration': 'case when ' ~ of_a_month_before ~ ' then -total end',
    }),
    (ref('mart_amount_retention'), add_months('month', -1), 'true', {
        'amount_retention_and_concentration': 'customers',
        'amount_of_retention_and_concentration': 'amount_before_usd',
    }),
    (ref('fct_card_payments'), 'month', 'true', {
        'card_payments_and_transactions': 'payments_known + payments_unknown',
        'amount_of_card_payments_and_transactions': 'cast(amount_known_usd + amount_unknown_usd as ' ~ float_type() ~ ')',
    }),
    (
        ref('mart_transactions_monthly'),
        'month',
        "transaction_state = 'COMPLETED' and transaction_type in ('CARD_PAYMENT', 'ATM')",
        {'card_payments_and_transactions': '-transactions', 'amount_of_card_payments_and_transactions': '-amount_usd'},
    ),
] %}
{%- set counts = [
    'l28_and_mau', 'first_activity_cells_and_months', 'signup_cells_and_months', 'weeks_of_both_cohorts',
    'cells_and_their_dimensions', 'concentration_and_months', 'concentration_by_country_and_months',
    'transactions_of_concentration_and_months', 'amount_retention_and_concentration', 'card_payments_and_transactions',
] %}
{%- set amounts = [
    'amount_of_concentration_and_months', 'amount_of_retention_and_concentration', 'amount_of_card_payments_and_transactions',
] %}

with publication as (select as_of from {{ ref('dim_publication') }}),

added as (
    {%- for table, day, condition, sums in tables %}
    {{ 'union all ' if not loop.first }}select
        {{ day }} as day,
        {%- for name in counts %}
        {{ 'sum(' ~ sums[name] ~ ')' if name in sums else 'cast(null as bigint)' }} as {{ name }},
        {%- endfor %}
        {%- for name in amounts %}
        {{ 'sum(' ~ sums[name] ~ ')' if name in sums else 'cast(null as ' ~ float_type() ~ ')' }} as {{ name }},
        {{ 'sum(abs(' ~ sums[name] ~ '))' if name in sums else 'cast(null as ' ~ float_type() ~ ')' }} as {{ name }}_size,
        {%- endfor %}
    from {{ table }}
    cross join publication
    where {{ condition }}
    group by {{ day }}
    {%- endfor %}
),

differences as (
    select
        day,
        {%- for name in counts + amounts %}
        coalesce(sum({{ name }}), 0) as {{ name }},
        {%- endfor %}
        {%- for name in amounts %}
        coalesce(sum({{ name }}_size), 0) as {{ name }}_size,
        {%- endfor %}
    from added
    group by day
)

select day, {{ (counts + amounts) | join(', ') }}
from differences
where {% for name in counts %}{{ '\n    or ' if not loop.first }}{{ name }} <> 0{% endfor %}
    {#- floats differ by the order they are added in -#}
    {%- for name in amounts %}
    or abs({{ name }}) > 1e-9 * {{ name }}_size
    {%- endfor %}
