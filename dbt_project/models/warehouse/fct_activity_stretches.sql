-- grain: one row per customer and active stretch under the inactivity window N, on both clocks
with breaks as (
    select * from {{ ref('fct_breaks') }}
    where gap_days is null or gap_days > {{ inactivity_days() }}
),

publication as (select * from {{ ref('dim_publication') }}),

paired as (
    select
        *,
        lag(returned_on) over (partition by customer_key order by last_active_day) as starting_date,
    from breaks
),

final as (
    select
        paired.customer_key,
        coalesce(paired.starting_date, paired.first_active_day) as starting_date,
        paired.last_active_day,
        case
            when paired.returned_on is not null
                or {{ days_between('paired.last_active_day', 'publication.as_of') }} >= {{ inactivity_days() }}
                then {{ add_days('paired.last_active_day', inactivity_days()) }}
        end as lapsed_on,
        paired.returned_on,
        paired.starting_date is null as is_first,
        paired.segment_id,
    from paired
    cross join publication
)

select * from final
