-- grain: one row per cohort kind, period length, segment value, cohort and period with activity
{{ config(
    materialized='incremental',
    pre_hook="{{ neopulse.forget(
        '(grain = \\'month\\' and period_start >= ' ~ neopulse.month_start(neopulse.cubes_changed_from()) ~ ')'
        ~ ' or (grain = \\'week\\' and period_start >= ' ~ neopulse.week_start(neopulse.cubes_changed_from()) ~ ')'
    ) }}",
) }}

with cells as (
    select cells.*, {{ dimension_columns('segments') }}
    from {{ ref('mart_cohort_cells') }} as cells
    inner join {{ ref('dim_segments') }} as segments on cells.segment_id = segments.segment_id
    where (cells.grain = 'month' and cells.period_start >= {{ month_start(cubes_changed_from()) }})
        or (cells.grain = 'week' and cells.period_start >= {{ week_start(cubes_changed_from()) }})
),

final as (
    select
        cohort_kind,
        grain,
        cohort,
        period_start,
        period,
        {{ segment_columns() }},
        cast(sum(active_customers) as {{ dbt.type_bigint() }}) as active_customers,
    from cells
    group by {{ segment_sets(['cohort_kind', 'grain', 'cohort', 'period_start', 'period']) }}
)

select * from final
