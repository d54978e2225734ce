-- grain: one row per cohort kind, period length, segment value, cohort and period up to as_of
with cells as (select * from {{ ref('cohort_cells_by_dimension') }}),

publication as (select * from {{ ref('dim_publication') }}),

members as (
    select members.*, {{ dimension_columns('segments') }}
    from {{ ref('mart_cohort_members') }} as members
    inner join {{ ref('dim_segments') }} as segments on members.segment_id = segments.segment_id
),

members_by_segment as (
    select
        cohort_kind,
        grain,
        cohort,
        last_period,
        {{ segment_columns() }},
        sum(customers) as customers,
    from members
    group by {{ segment_sets(['cohort_kind', 'grain', 'cohort', 'last_period']) }}
),

sizes as (
    select cohort_kind, grain, cohort, segment, segment_value, sum(customers) as cohort_customers
    from members_by_segment
    group by cohort_kind, grain, cohort, segment, segment_value
),

periods as (
    select 'month' as grain, month_start as period_start, max(month_end) as period_end
    from {{ ref('dim_dates') }}
    where not is_after_as_of
    group by month_start
    union all
    select 'week', week_start, {{ add_days('week_start', 6) }}
    from {{ ref('dim_dates') }}
    where not is_after_as_of
    group by week_start
),

every_cell as (
    select
        sizes.*,
        periods.period_end,
        case
            when sizes.grain = 'month' then {{ months_between('sizes.cohort', 'periods.period_start') }}
            else {{ weeks_between('sizes.cohort', 'periods.period_start') }}
        end as period,
    from sizes
    inner join periods on sizes.grain = periods.grain and periods.period_start >= sizes.cohort
),

filled as (
    select
        every_cell.*,
        coalesce(cells.active_customers, 0) as active_customers,
        sum(coalesce(lasts.customers, 0)) over (
            partition by every_cell.cohort_kind, every_cell.grain, every_cell.segment, every_cell.segment_value, every_cell.cohort
            order by every_cell.period desc
            rows between unbounded preceding and current row
        ) as active_customers_unbounded,
    from every_cell
    left join cells
        on every_cell.cohort_kind = cells.cohort_kind
        and every_cell.grain = cells.grain
        and every_cell.segment = cells.segment
        and every_cell.segment_value = cells.segment_value
        and every_cell.cohort = cells.cohort
        and every_cell.period = cells.period
    left join members_by_segment as lasts
        on every_cell.cohort_kind = lasts.cohort_kind
        and every_cell.grain = lasts.grain
        and every_cell.segment = lasts.segment
        and every_cell.segment_value = lasts.segment_value
        and every_cell.cohort = lasts.cohort
        and every_cell.period = lasts.last_period
),

final as (
    select
        filled.cohort_kind,
        filled.grain,
        filled.segment,
        filled.segment_value,
        filled.cohort,
        cast(filled.period as {{ dbt.type_int() }}) as period,
        cast(filled.cohort_customers as {{ dbt.type_bigint() }}) as cohort_customers,
        cast(filled.active_customers as {{ dbt.type_bigint() }}) as active_customers,
        cast(filled.active_customers_unbounded as {{ dbt.type_bigint() }}) as active_customers_unbounded,
        {{ share('filled.active_customers', 'filled.cohort_customers') }} as retention_classic,
        {{ share('filled.active_customers_unbounded', 'filled.cohort_customers') }} as retention_unbounded,
        filled.period_end as final_on,
        {{ add_days('filled.period_end', 'publication.inactivity_days') }} as final_on_unbounded,
        filled.period_end > publication.as_of as is_provisional,
        {{ add_days('filled.period_end', 'publication.inactivity_days') }} > publication.as_of as is_provisional_unbounded,
    from filled
    cross join publication
)

select * from final
