-- grain: one row per day and segment value: who had an active day, and for whom it was the first
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_cube_days('date') }}") }}

with counts as (
    select counts.*, {{ dimension_columns('segments') }}
    from {{ ref('mart_daily_counts') }} as counts
    inner join {{ ref('dim_segments') }} as segments on counts.segment_id = segments.segment_id
    where counts.date >= {{ cubes_changed_from() }}
),

final as (
    select
        {{ segment_columns() }},
        date,
        cast(sum(active_customers) as {{ dbt.type_bigint() }}) as active_customers,
        cast(sum(new_customers) as {{ dbt.type_bigint() }}) as new_customers,
    from counts
    group by {{ segment_sets(['date']) }}
)

select * from final
