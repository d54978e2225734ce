-- from opening on, each stretch begins the day after the one before it ends, and only the last one is open
with stretches as (select * from {{ ref('mart_user_is_active') }}),

publication as (select * from {{ ref('dim_publication') }}),

customers as (
    select customers.user_id, customers.opening_date
    from {{ ref('dim_customers') }} as customers
    inner join publication on customers.opening_date <= publication.as_of
),

ordered as (
    select
        *,
        lag(ending_date) over (partition by user_id order by starting_date) as ending_before,
        row_number() over (partition by user_id order by starting_date) as place,
        lead(starting_date) over (partition by user_id order by starting_date) is null as is_last,
        coalesce(is_active = lag(is_active) over (partition by user_id order by starting_date), false) as repeats_state,
    from stretches
)

select customers.user_id
from customers
left join ordered on customers.user_id = ordered.user_id
cross join publication
where ordered.user_id is null
    or (ordered.place = 1 and ordered.starting_date <> customers.opening_date)
    or (ordered.place > 1 and coalesce({{ days_between('ordered.ending_before', 'ordered.starting_date') }}, 0) <> 1)
    or (ordered.is_last <> (ordered.ending_date is null))
    or ordered.ending_date < ordered.starting_date
    or ordered.starting_date > publication.as_of
    or ordered.repeats_state
